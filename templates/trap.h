typedef struct {
    const char *what;        /* what was made nan or infinite, and where; NULL if nothing was */
    double value;            /* nan, or an infinity */
    int64_t element;         /* which element of it, in C order */
    int64_t site;            /* the number of the place */
    int count;               /* of the operands that are told here */
    const char *operands[6]; /* what it was made of; "step" counts those of a loop around it */
    double values[6];
    const char *argument;    /* an argument that brought a nan or infinity along, or NULL */
    int argument_number;     /* how many stand before it */
    double argument_value;
    int64_t argument_element;
} graphc_trap;
