#ifndef EXERCISE2_SHARED_H
#define EXERCISE2_SHARED_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The same when both weights are functions of one parameter v.
 *
 * in  x1   float64[]
 * in  x2   float64[]
 * in  v    float64[]
 * in  t    float64[]
 * out ell  float64[]
 * out d_v  float64[]
 */
void exercise2_shared(double x1, double x2, double v, double t, double *ell, double *d_v);

#ifdef __cplusplus
}
#endif

#endif
