#ifndef SOFTMAX_STEP_H
#define SOFTMAX_STEP_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * One step of softmax regression by gradient descent.
 *
 * in  W     float64[4, 3]
 * in  b     float64[3]
 * in  x     float64[n, 4]
 * in  t     float64[n, 3]
 * in  rate  float64[]
 * out ell   float64[]
 * out out   float64[4, 3]
 * out out2  float64[3]
 *
 * workspace: softmax_step_workspace_bytes(n) bytes,
 * aligned to 64, contents arbitrary before and after.
 */
void softmax_step(const double *W, const double *b, const double *x, const double *t, double rate,
                  int64_t n, double *ell, double *out, double *out2, void *workspace);
int64_t softmax_step_workspace_bytes(int64_t n);

#ifdef __cplusplus
}
#endif

#endif
