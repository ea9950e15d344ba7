/* Prints the class of every digit in digits.h, one a line, as the trained network sees it.

   predict.c and predict.h were written by graphc and hold the weights:
   cc -O2 classify.c predict.c -o classify -lm */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "digits.h"
#include "predict.h"

int main(void)
{
    static int64_t classes[DIGITS];
    void *workspace = aligned_alloc(64, (PREDICT_WORKSPACE_BYTES + 63) / 64 * 64);

    if (workspace == NULL) {
        fputs("classify: out of memory\n", stderr);
        return EXIT_FAILURE;
    }
    predict(digits, DIGITS, classes, workspace);
    for (size_t i = 0; i < DIGITS; ++i)
        printf("%" PRId64 "\n", classes[i]);
    free(workspace);
    return EXIT_SUCCESS;
}
