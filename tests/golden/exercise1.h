#ifndef EXERCISE1_H
#define EXERCISE1_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The same for the prediction of one linear layer, mu = w . x.
 *
 * in  w      float64[d]
 * in  x      float64[d]
 * in  t      float64[]
 * in  sigma  float64[]
 * out ell    float64[]
 * out d_w    float64[d]
 */
void exercise1(const double *w, const double *x, double t, double sigma, int64_t d, double *ell,
               double *d_w);

#ifdef __cplusplus
}
#endif

#endif
