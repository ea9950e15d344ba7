#ifndef EXERCISE1_DATASET_H
#define EXERCISE1_DATASET_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The mean over a dataset of n points (rows of X).
 *
 * in  w      float64[d]
 * in  X      float64[n, d]
 * in  t      float64[n]
 * in  sigma  float64[]
 * out mean   float64[]
 * out d_w    float64[d]
 */
void exercise1_dataset(const double *w, const double *X, const double *t, double sigma, int64_t d,
                       int64_t n, double *mean, double *d_w);

#ifdef __cplusplus
}
#endif

#endif
