#ifndef EXERCISE3_H
#define EXERCISE3_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * For any loss: its gradients by a, W and b, from d_next, its gradient by the activations.
 *
 * in  a       float64[d]
 * in  W       float64[d, h]
 * in  b       float64[h]
 * in  d_next  float64[h]
 * out d_a     float64[d]
 * out d_W     float64[d, h]
 * out d_b     float64[h]
 *
 * workspace: exercise3_workspace_bytes(d, h) bytes,
 * aligned to 64, contents arbitrary before and after.
 */
void exercise3(const double *a, const double *W, const double *b, const double *d_next, int64_t d,
               int64_t h, double *d_a, double *d_W, double *d_b, void *workspace);
int64_t exercise3_workspace_bytes(int64_t d, int64_t h);

#ifdef __cplusplus
}
#endif

#endif
