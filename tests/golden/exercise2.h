#ifndef EXERCISE2_H
#define EXERCISE2_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The squared error of the prediction.
 *
 * in  x1     float64[]
 * in  x2     float64[]
 * in  w13    float64[]
 * in  w24    float64[]
 * in  t      float64[]
 * out ell    float64[]
 * out d_w13  float64[]
 * out d_w24  float64[]
 */
void exercise2(double x1, double x2, double w13, double w24, double t, double *ell, double *d_w13,
               double *d_w24);

#ifdef __cplusplus
}
#endif

#endif
