/* How Python reaches any kernel: one module for all of them, compiled once a machine.

   A Caller knows a kernel's arguments from a plan; it reads them, checks them and calls. Whatever
   is not exactly as the kernel wants it goes to the Python method `_slowly`, which converts it, or
   says what is wrong with it. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#define NPY_TARGET_VERSION NPY_2_0_API_VERSION
#include <numpy/arrayobject.h>
#include <numpy/arrayscalars.h>

#include <dlfcn.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

/* --- plans ---------------------------------------------------------------------------------- */

/* What adapter.c makes of each kernel. Scalars are given by their address, too. */
typedef void Run(const void *const *in, const int64_t *dims, void *const *out, void *workspace);
typedef void Measure(const int64_t *dims, int64_t *sizes);

typedef enum { BOOL, INT32, INT64, FLOAT32, FLOAT64, FLOAT16, BFLOAT16 } Kind;
/* NumPy has no bfloat16: whoever brings it says what its number is. */
static int number_of[] = {
    NPY_BOOL, NPY_INT32, NPY_INT64, NPY_FLOAT32, NPY_FLOAT64, NPY_HALF, NPY_NOTYPE
};
static const size_t bytes_of[] = {1, 4, 8, 4, 8, 2, 2};

/* An input or output. A size below 0 is not known before the call: ~size counts the measured. */
typedef struct {
    Kind kind;
    int rank;
    int64_t *sizes;
} Slot;

/* A run-time dimension: (elements on an axis of an input - offset) / step. */
typedef struct {
    int64_t input, axis, step, offset;
} Source;

typedef struct {
    char *name;
    Run *run;
    Measure *measure;
    Py_ssize_t inputs, outputs, dims, measured;
    Slot *in, *out;
    int64_t *homes;    /* of each output: the donated input whose memory it takes, or -1 */
    int donates;
    Source *sources;
    int64_t workspace; /* bytes; below 0 as in a slot */
    int releases;      /* the GIL, while the kernel runs */
    int threads;       /* whether the kernel starts any */
    int direct;        /* nothing stands between Python's arguments and results and the kernel's */
} Plan;

typedef union {
    bool truth;
    int32_t int32;
    int64_t int64;
    float float32;
    double float64;
    uint16_t half;
} Value;

/* One call: what goes to the kernel, and what it is made of. */
typedef union {
    void *pointer;
    int64_t size;
    Value value;
} Word;

#define WORDS 48

typedef struct {
    const void **in;
    void **out;
    int64_t *dims, *sizes;
    Value *numbers, *results; /* scalar inputs and outputs */
    PyObject **made;
    Word *memory, words[WORDS];
} Frame;

static int open_frame(Frame *frame, const Plan *plan)
{
    const Py_ssize_t n = plan->inputs, m = plan->outputs;
    const Py_ssize_t total = 2 * n + 3 * m + plan->dims + plan->measured;
    Word *memory = frame->words;
    if (total > WORDS && !(memory = PyMem_Malloc((size_t)total * sizeof(Word)))) {
        PyErr_NoMemory();
        return 0;
    }
    frame->memory = memory;
    frame->in = (const void **)memory;
    frame->numbers = (Value *)(memory + n);
    frame->out = (void **)(memory + 2 * n);
    frame->results = (Value *)(memory + 2 * n + m);
    frame->made = (PyObject **)(memory + 2 * n + 2 * m);
    frame->dims = (int64_t *)(memory + 2 * n + 3 * m);
    frame->sizes = frame->dims + plan->dims;
    return 1;
}

static inline void close_frame(Frame *frame)
{
    if (frame->memory != frame->words)
        PyMem_Free(frame->memory);
}

static inline int64_t size_of(int64_t size, const Frame *frame)
{
    return size < 0 ? frame->sizes[~size] : size;
}

/* --- arguments: each function returns whether it could take the object as it is ------------- */

static inline int is_array(PyObject *object, Kind kind, int rank)
{
    if (!PyArray_CheckExact(object))
        return 0;
    PyArrayObject *array = (PyArrayObject *)object;
    return PyArray_TYPE(array) == number_of[kind] && PyArray_NDIM(array) == rank
           && PyArray_ISCARRAY_RO(array);
}

static int take_float64(PyObject *object, double *x)
{
    if (PyFloat_Check(object)) { /* numpy.float64 is one */
        *x = PyFloat_AS_DOUBLE(object);
        return 1;
    }
    if (!PyLong_Check(object))
        return 0;
    *x = PyLong_AsDouble(object);
    if (*x == -1.0 && PyErr_Occurred()) { /* beyond the largest double */
        PyErr_Clear();
        return 0;
    }
    return 1;
}

static int take_float32(PyObject *object, float *x)
{
    double wide;
    if (PyArray_IsScalar(object, Float32)) {
        *x = PyArrayScalar_VAL(object, Float32);
        return 1;
    }
    if ((!PyFloat_CheckExact(object) && !PyLong_Check(object)) || !take_float64(object, &wide))
        return 0;
    *x = (float)wide;
    return !isinf(*x) || isinf(wide);
}

static int take_int64(PyObject *object, int64_t *x)
{
    if (PyArray_IsScalar(object, Int64)) {
        *x = PyArrayScalar_VAL(object, Int64);
        return 1;
    }
    if (!PyLong_Check(object))
        return 0;
    int overflow;
    *x = PyLong_AsLongLongAndOverflow(object, &overflow);
    return !overflow;
}

static int take_int32(PyObject *object, int32_t *x)
{
    int64_t wide;
    if (PyArray_IsScalar(object, Int32)) {
        *x = PyArrayScalar_VAL(object, Int32);
        return 1;
    }
    if (!PyLong_Check(object) || !take_int64(object, &wide) || wide < INT32_MIN
        || wide > INT32_MAX)
        return 0;
    *x = (int32_t)wide;
    return 1;
}

static int take_bool(PyObject *object, bool *x)
{
    if (PyBool_Check(object)) {
        *x = object == Py_True;
        return 1;
    }
    if (!PyArray_IsScalar(object, Bool))
        return 0;
    *x = PyArrayScalar_VAL(object, Bool) != 0;
    return 1;
}

/* Where the number is: in the array of rank 0 that it came in, or in `number`; NULL if nowhere. */
static inline const void *take_number(PyObject *object, Kind kind, Value *number)
{
    if (kind == FLOAT64 && PyFloat_CheckExact(object)) {
        number->float64 = PyFloat_AS_DOUBLE(object);
        return number;
    }
    if (is_array(object, kind, 0))
        return PyArray_DATA((PyArrayObject *)object);
    int taken = 0;
    switch (kind) {
    case BOOL: taken = take_bool(object, &number->truth); break;
    case INT32: taken = take_int32(object, &number->int32); break;
    case INT64: taken = take_int64(object, &number->int64); break;
    case FLOAT32: taken = take_float32(object, &number->float32); break;
    case FLOAT64: taken = take_float64(object, &number->float64); break;
    case FLOAT16:
    case BFLOAT16: break;
    }
    return taken ? number : NULL;
}

static inline int has_shape(PyObject *array, const Slot *slot, const Frame *frame)
{
    const npy_intp *shape = PyArray_DIMS((PyArrayObject *)array);
    for (int axis = 0; axis < slot->rank; ++axis)
        if (shape[axis] != size_of(slot->sizes[axis], frame))
            return 0;
    return 1;
}

/* Whether arrays a and b, both contiguous, have no byte in common. */
static inline int are_apart(PyObject *a, PyObject *b)
{
    PyArrayObject *x = (PyArrayObject *)a, *y = (PyArrayObject *)b;
    const uintptr_t p = (uintptr_t)PyArray_DATA(x), q = (uintptr_t)PyArray_DATA(y);
    const uintptr_t m = (uintptr_t)PyArray_NBYTES(x), n = (uintptr_t)PyArray_NBYTES(y);
    return m == 0 || n == 0 || p + m <= q || q + n <= p;
}

/* Whether donated arrays may be written, and lie apart from all other inputs. */
static int may_overwrite(const Plan *plan, PyObject *const *in)
{
    for (Py_ssize_t j = 0; j < plan->outputs; ++j) {
        const int64_t home = plan->homes[j];
        if (home < 0)
            continue;
        if (!PyArray_ISWRITEABLE((PyArrayObject *)in[home]))
            return 0;
        for (Py_ssize_t i = 0; i < plan->inputs; ++i)
            if (i != home && plan->in[i].rank && !are_apart(in[home], in[i]))
                return 0;
    }
    return 1;
}

static int take_inputs(const Plan *plan, Frame *frame, PyObject *const *in)
{
    for (Py_ssize_t i = 0; i < plan->inputs; ++i) {
        const Slot *slot = &plan->in[i];
        if (slot->rank == 0)
            frame->in[i] = take_number(in[i], slot->kind, &frame->numbers[i]);
        else if (is_array(in[i], slot->kind, slot->rank))
            frame->in[i] = PyArray_DATA((PyArrayObject *)in[i]);
        else
            return 0;
        if (!frame->in[i])
            return 0;
    }
    for (Py_ssize_t i = 0; i < plan->dims; ++i) {
        const Source *source = &plan->sources[i];
        const npy_intp *shape = PyArray_DIMS((PyArrayObject *)in[source->input]);
        const int64_t counted = shape[source->axis] - source->offset;
        if (counted < 0 || counted % source->step)
            return 0;
        frame->dims[i] = counted / source->step;
    }
    if (plan->measured)
        plan->measure(frame->dims, frame->sizes);
    for (Py_ssize_t i = 0; i < plan->inputs; ++i)
        if (plan->in[i].rank && !has_shape(in[i], &plan->in[i], frame))
            return 0;
    return !plan->donates || may_overwrite(plan, in);
}

/* --- outputs ------------------------------------------------------------------------------- */

/* The caller's arrays become the outputs: writable, of the right type and shape, and apart; or
   the donated arrays themselves. */
static int take_outputs(const Plan *plan, Frame *frame, PyObject *const *in, PyObject *const *out)
{
    for (Py_ssize_t j = 0; j < plan->outputs; ++j) {
        const Slot *slot = &plan->out[j];
        if (plan->homes[j] >= 0) {
            if (out[j] != in[plan->homes[j]])
                return 0;
            continue;
        }
        if (!is_array(out[j], slot->kind, slot->rank)
            || !PyArray_ISWRITEABLE((PyArrayObject *)out[j]) || !has_shape(out[j], slot, frame))
            return 0;
        for (Py_ssize_t i = 0; i < plan->inputs; ++i)
            if (plan->in[i].rank && !are_apart(out[j], in[i]))
                return 0;
        for (Py_ssize_t i = 0; i < j; ++i)
            if (!are_apart(out[j], out[i]))
                return 0;
        frame->out[j] = PyArray_DATA((PyArrayObject *)out[j]);
    }
    return 1;
}

static void drop_outputs(Frame *frame, Py_ssize_t made)
{
    for (Py_ssize_t j = 0; j < made; ++j)
        Py_XDECREF(frame->made[j]);
}

/* --- memory of large results --------------------------------------------------------------- */

/* The first touch of fresh memory is several times slower than the kernels that fill it. Memory of
   large arrays that have died is therefore kept for the next ones of the same size, a few blocks
   and at most `spare_limit` bytes in all; the oldest go first. Only touched with the GIL held. */
#define LARGE ((size_t)1 << 20)
#define HUGE_PAGE ((size_t)2 << 20)
#define SPARES 16

typedef struct {
    size_t bytes;
    void *memory;
} Block;

static Block spares[SPARES]; /* the oldest first */
static int spare_count;
static size_t spare_bytes, spare_limit = (size_t)256 << 20;
static PyObject *spare_handler; /* NumPy's, in a capsule */

/* Bytes of the block that holds an array: they depend on nothing but its size. */
static size_t block_bytes(size_t bytes)
{
    const size_t step = bytes >= 2 * HUGE_PAGE ? HUGE_PAGE : bytes >= LARGE ? 65536 : 64;
    return bytes > SIZE_MAX - step ? 0 : (bytes / step + (bytes % step != 0 || !bytes)) * step;
}

static void drop_spare(int k)
{
    spare_bytes -= spares[k].bytes;
    --spare_count;
    memmove(spares + k, spares + k + 1, (size_t)(spare_count - k) * sizeof *spares);
}

static void *spare_malloc(void *context, size_t bytes)
{
    (void)context;
    const size_t wanted = block_bytes(bytes);
    for (int k = spare_count - 1; k >= 0; --k)
        if (spares[k].bytes == wanted) {
            void *memory = spares[k].memory;
            drop_spare(k);
            return memory;
        }
    const int huge = wanted >= 2 * HUGE_PAGE;
    void *memory = wanted ? aligned_alloc(huge ? HUGE_PAGE : 64, wanted) : NULL;
#ifdef MADV_HUGEPAGE
    if (memory && huge)
        madvise(memory, wanted, MADV_HUGEPAGE);
#endif
    return memory;
}

static void *spare_calloc(void *context, size_t count, size_t bytes)
{
    if (bytes && count > SIZE_MAX / bytes)
        return NULL;
    void *memory = spare_malloc(context, count * bytes);
    return memory ? memset(memory, 0, count * bytes) : NULL;
}

static void *spare_realloc(void *context, void *memory, size_t bytes)
{
    (void)context;
    const size_t wanted = block_bytes(bytes);
    return wanted ? realloc(memory, wanted) : NULL;
}

static void spare_free(void *context, void *memory, size_t bytes)
{
    (void)context;
    const size_t held = block_bytes(bytes);
    if (!memory || bytes < LARGE || held > spare_limit) {
        free(memory);
        return;
    }
    while (spare_count == SPARES || spare_bytes > spare_limit - held) {
        free(spares[0].memory);
        drop_spare(0);
    }
    spares[spare_count++] = (Block){held, memory};
    spare_bytes += held;
}

static PyDataMem_Handler spare_memory = {
    "graphc", 1, {NULL, spare_malloc, spare_calloc, spare_realloc, spare_free},
};

/* keep(bytes): keeps at most so much memory of dead arrays, from now on; what it kept till then,
   in bytes, is the answer. */
static PyObject *keep(PyObject *module, PyObject *number)
{
    (void)module;
    const size_t most = PyLong_AsSize_t(number);
    if (PyErr_Occurred())
        return NULL;
    PyObject *kept = PyLong_FromSize_t(spare_bytes);
    spare_limit = most;
    while (spare_count && spare_bytes > spare_limit) {
        free(spares[0].memory);
        drop_spare(0);
    }
    return kept;
}

/* limit(): how much it keeps at most. */
static PyObject *limit(PyObject *module, PyObject *nothing)
{
    (void)module;
    (void)nothing;
    return PyLong_FromSize_t(spare_limit);
}

static PyObject *new_array(const Slot *slot, npy_intp *shape)
{
    size_t bytes = bytes_of[slot->kind];
    for (int axis = 0; axis < slot->rank; ++axis)
        bytes *= shape[axis] > 0 ? (size_t)shape[axis] : 0;
    if (bytes < LARGE || bytes > spare_limit)
        return PyArray_SimpleNew(slot->rank, shape, number_of[slot->kind]);
    PyObject *usual = PyDataMem_SetHandler(spare_handler);
    if (!usual)
        return NULL;
    PyObject *array = PyArray_SimpleNew(slot->rank, shape, number_of[slot->kind]);
    PyObject *ours = PyDataMem_SetHandler(usual);
    Py_DECREF(usual);
    Py_XDECREF(ours);
    return array;
}

/* New arrays, the donated ones, and places for the scalars. */
static int make_outputs(const Plan *plan, Frame *frame, PyObject *const *in)
{
    for (Py_ssize_t j = 0; j < plan->outputs; ++j) {
        const Slot *slot = &plan->out[j];
        frame->made[j] = NULL;
        frame->out[j] = &frame->results[j];
        if (slot->rank == 0)
            continue;
        if (plan->homes[j] >= 0) {
            frame->made[j] = Py_NewRef(in[plan->homes[j]]);
            continue;
        }
        npy_intp shape[NPY_MAXDIMS];
        for (int axis = 0; axis < slot->rank; ++axis)
            shape[axis] = size_of(slot->sizes[axis], frame);
        frame->made[j] = new_array(slot, shape);
        if (!frame->made[j]) {
            drop_outputs(frame, j);
            return 0;
        }
        frame->out[j] = PyArray_DATA((PyArrayObject *)frame->made[j]);
    }
    return 1;
}

#define MAKE_SCALAR(Type, value)                                                          \
    do {                                                                                  \
        PyObject *made = PyArrayScalar_New(Type);                                         \
        if (made)                                                                         \
            PyArrayScalar_ASSIGN(made, Type, value);                                      \
        return made;                                                                      \
    } while (0)

static PyObject *make_bfloat16(const Value *x)
{
    PyArray_Descr *type = PyArray_DescrFromType(number_of[BFLOAT16]);
    if (!type)
        return NULL;
    PyObject *made = PyArray_Scalar((void *)&x->half, type, NULL);
    Py_DECREF(type);
    return made;
}

static inline PyObject *make_scalar(Kind kind, const Value *x)
{
    switch (kind) {
    case BOOL: return Py_NewRef(x->truth ? PyArrayScalar_True : PyArrayScalar_False);
    case INT32: MAKE_SCALAR(Int32, x->int32);
    case INT64: MAKE_SCALAR(Int64, x->int64);
    case FLOAT32: MAKE_SCALAR(Float32, x->float32);
    case FLOAT64: MAKE_SCALAR(Float64, x->float64);
    case FLOAT16: MAKE_SCALAR(Half, x->half);
    case BFLOAT16: return make_bfloat16(x);
    }
    return NULL;
}

/* The outputs as Python's caller gets them: the one, or a tuple; takes over the references. */
static PyObject *result_of(PyObject **out, Py_ssize_t count)
{
    if (count == 1)
        return out[0];
    PyObject *tuple = PyTuple_New(count);
    for (Py_ssize_t j = 0; j < count; ++j) {
        if (tuple)
            PyTuple_SET_ITEM(tuple, j, out[j]);
        else
            Py_DECREF(out[j]);
    }
    return tuple;
}

static PyObject *given_outputs(const Plan *plan, Frame *frame, PyObject *const *out)
{
    for (Py_ssize_t j = 0; j < plan->outputs; ++j)
        frame->made[j] = Py_NewRef(out[j]);
    return result_of(frame->made, plan->outputs);
}

/* --- workspaces: one for each call that is running; a few are kept for the next ones -------- */

#define KEPT 8

/* Only touched with the GIL held. */
typedef struct {
    int count;
    Block blocks[KEPT];
} Pool;

static int allocate(const Plan *plan, Block *block, size_t bytes)
{
    const size_t alignment = bytes >= HUGE_PAGE ? HUGE_PAGE : 64;
    block->bytes = (bytes / alignment + 1) * alignment;
    block->memory = aligned_alloc(alignment, block->bytes);
    if (!block->memory) {
        PyErr_Format(PyExc_MemoryError, "%s needs a workspace of %zu bytes", plan->name, bytes);
        return 0;
    }
#ifdef MADV_HUGEPAGE
    if (bytes >= HUGE_PAGE)
        madvise(block->memory, block->bytes, MADV_HUGEPAGE);
#endif
    return 1;
}

static inline int borrow(const Plan *plan, Pool *pool, Block *block, size_t bytes)
{
    if (pool->count) {
        *block = pool->blocks[--pool->count];
        if (block->bytes >= bytes)
            return 1;
        free(block->memory);
    }
    return allocate(plan, block, bytes);
}

static inline void give_back(Pool *pool, Block block)
{
    if (pool->count < KEPT)
        pool->blocks[pool->count++] = block;
    else
        free(block.memory);
}

static inline size_t workspace_bytes(const Plan *plan, const Frame *frame)
{
    const int64_t bytes = size_of(plan->workspace, frame);
    return bytes > 0 ? (size_t)bytes : 0;
}

/* --- callers ------------------------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    Plan plan;
    Pool pool;
} Caller;

/* A fork copies one thread; OpenMP would wait for ever for those that the parent had. A thread that
   begins after the fork has none yet, so it gets new ones. */
static int is_forked;

static void note_fork(void)
{
    is_forked = 1;
}

typedef struct {
    Run *run;
    const void *const *in;
    const int64_t *dims;
    void *const *out;
    void *workspace;
} Job;

static void *run_job(void *given)
{
    const Job *job = given;
    job->run(job->in, job->dims, job->out, job->workspace);
    return NULL;
}

static inline void run_kernel(Job job, int threads)
{
    pthread_t thread;
    if (threads && is_forked && !pthread_create(&thread, NULL, run_job, &job))
        pthread_join(thread, NULL);
    else
        run_job(&job);
}

/* Runs the kernel with a workspace of its own, without the GIL where that repays the cost. */
static inline int run_once(Caller *self, Frame *frame)
{
    const Plan *plan = &self->plan;
    Block block = {0, NULL};
    if (plan->workspace && !borrow(plan, &self->pool, &block, workspace_bytes(plan, frame)))
        return 0;
    if (plan->releases) {
        Py_BEGIN_ALLOW_THREADS
        run_kernel((Job){plan->run, frame->in, frame->dims, frame->out, block.memory},
                   plan->threads);
        Py_END_ALLOW_THREADS
    } else {
        plan->run(frame->in, frame->dims, frame->out, block.memory);
    }
    if (plan->workspace)
        give_back(&self->pool, block);
    return 1;
}

static PyObject *compute(Caller *self, Frame *frame, PyObject *const *in)
{
    const Plan *plan = &self->plan;
    if (!make_outputs(plan, frame, in))
        return NULL;
    int fine = run_once(self, frame);
    for (Py_ssize_t j = 0; fine && j < plan->outputs; ++j)
        if (plan->out[j].rank == 0)
            fine = !!(frame->made[j] = make_scalar(plan->out[j].kind, &frame->results[j]));
    if (fine)
        return result_of(frame->made, plan->outputs);
    drop_outputs(frame, plan->outputs);
    return NULL;
}

/* _call(*inputs): the outputs are new. NotImplemented where an input is not as it should be. */
static PyObject *call_fresh(PyObject *object, PyObject *const *in, Py_ssize_t count)
{
    Caller *self = (Caller *)object;
    Frame frame;
    if (!self->plan.run || count != self->plan.inputs)
        Py_RETURN_NOTIMPLEMENTED;
    if (!open_frame(&frame, &self->plan))
        return NULL;
    const int taken = take_inputs(&self->plan, &frame, in);
    PyObject *result = taken ? compute(self, &frame, in) : Py_NewRef(Py_NotImplemented);
    close_frame(&frame);
    return result;
}

/* _call_into(*inputs, *outputs): writes into the arrays given. */
static PyObject *call_into(PyObject *object, PyObject *const *in, Py_ssize_t count)
{
    Caller *self = (Caller *)object;
    const Plan *plan = &self->plan;
    Frame frame;
    if (!plan->run || count != plan->inputs + plan->outputs)
        Py_RETURN_NOTIMPLEMENTED;
    if (!open_frame(&frame, plan))
        return NULL;
    PyObject *const *out = in + plan->inputs, *result = NULL;
    if (!take_inputs(plan, &frame, in) || !take_outputs(plan, &frame, in, out))
        result = Py_NewRef(Py_NotImplemented);
    else if (run_once(self, &frame))
        result = given_outputs(plan, &frame, out);
    close_frame(&frame);
    return result;
}

static PyObject *caller_call(PyObject *self, PyObject *const *in, size_t flags, PyObject *names)
{
    const Py_ssize_t count = PyVectorcall_NARGS(flags);
    if (((Caller *)self)->plan.direct && (!names || PyTuple_GET_SIZE(names) == 0)) {
        PyObject *result = call_fresh(self, in, count);
        if (result != Py_NotImplemented)
            return result;
        Py_DECREF(result);
    }
    PyObject *slowly = PyObject_GetAttrString(self, "_slowly");
    if (!slowly)
        return NULL;
    PyObject *result = PyObject_Vectorcall(slowly, in, (size_t)count, names);
    Py_DECREF(slowly);
    return result;
}

static PyObject *caller_new(PyTypeObject *type, PyObject *args, PyObject *names)
{
    (void)args;
    (void)names;
    Caller *self = (Caller *)type->tp_alloc(type, 0);
    if (self)
        self->vectorcall = caller_call;
    return (PyObject *)self;
}

static void free_slots(Slot *slots, Py_ssize_t count)
{
    for (Py_ssize_t i = 0; slots && i < count; ++i)
        PyMem_Free(slots[i].sizes);
    PyMem_Free(slots);
}

static void clear_plan(Plan *plan)
{
    free_slots(plan->in, plan->inputs);
    free_slots(plan->out, plan->outputs);
    PyMem_Free(plan->sources);
    PyMem_Free(plan->homes);
    PyMem_Free(plan->name);
    *plan = (Plan){0};
}

static void caller_free(PyObject *object)
{
    Caller *self = (Caller *)object;
    PyTypeObject *type = Py_TYPE(object);
    clear_plan(&self->plan);
    while (self->pool.count)
        free(self->pool.blocks[--self->pool.count].memory);
    type->tp_free(object);
    Py_DECREF(type);
}

/* --- bound calls: everything checked beforehand -------------------------------------------- */

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    Run *run;
    int releases, threads;
    const void **in; /* with the scalars, which are read again at each call */
    void **out;
    int64_t *dims;
    void *workspace;
    PyObject *result, *arrays; /* `arrays` keeps the memory of inputs and outputs */
} BoundCaller;

static PyObject *bound_call(PyObject *object, PyObject *const *in, size_t flags, PyObject *names)
{
    (void)in;
    BoundCaller *self = (BoundCaller *)object;
    if (PyVectorcall_NARGS(flags) || (names && PyTuple_GET_SIZE(names)) || !self->run) {
        PyErr_SetString(PyExc_TypeError, "a bound kernel takes no arguments: it has them already");
        return NULL;
    }
    if (self->releases) {
        Py_BEGIN_ALLOW_THREADS
        run_kernel((Job){self->run, self->in, self->dims, self->out, self->workspace},
                   self->threads);
        Py_END_ALLOW_THREADS
    } else {
        self->run(self->in, self->dims, self->out, self->workspace);
    }
    return Py_NewRef(self->result);
}

static PyObject *bound_new(PyTypeObject *type, PyObject *args, PyObject *names)
{
    (void)args;
    (void)names;
    BoundCaller *self = (BoundCaller *)type->tp_alloc(type, 0);
    if (self)
        self->vectorcall = bound_call;
    return (PyObject *)self;
}

static void bound_free(PyObject *object)
{
    BoundCaller *self = (BoundCaller *)object;
    PyTypeObject *type = Py_TYPE(object);
    Py_XDECREF(self->result);
    Py_XDECREF(self->arrays);
    free(self->workspace);
    PyMem_Free(self->in);
    type->tp_free(object);
    Py_DECREF(type);
}

/* Copies of the pointers and sizes, which the frame holds for one call only. */
static int keep_frame(BoundCaller *bound, const Plan *plan, const Frame *frame)
{
    const size_t n = (size_t)plan->inputs, m = (size_t)plan->outputs, k = (size_t)plan->dims;
    void *memory = PyMem_Malloc((n + m + k + 1) * sizeof(Word));
    if (!memory) {
        PyErr_NoMemory();
        return 0;
    }
    bound->in = memory;
    bound->out = (void **)((Word *)memory + n);
    bound->dims = (int64_t *)((Word *)memory + n + m);
    memcpy(bound->in, frame->in, n * sizeof *frame->in);
    memcpy(bound->out, frame->out, m * sizeof *frame->out);
    memcpy(bound->dims, frame->dims, k * sizeof *frame->dims);
    return 1;
}

static PyTypeObject *bound_type; /* one for the process: it holds nothing that an interpreter owns */

static PyObject *bind_frame(Caller *self, BoundCaller *bound, Frame *frame, PyObject *const *in)
{
    const Plan *plan = &self->plan;
    const Py_ssize_t count = plan->inputs + plan->outputs;
    PyObject *const *out = in + plan->inputs;
    if (!take_inputs(plan, frame, in) || !take_outputs(plan, frame, in, out))
        return Py_NewRef(Py_NotImplemented);
    Block block = {0, NULL};
    if (!keep_frame(bound, plan, frame) || !(bound->arrays = PyTuple_New(count)))
        return NULL;
    for (Py_ssize_t i = 0; i < count; ++i)
        PyTuple_SET_ITEM(bound->arrays, i, Py_NewRef(in[i]));
    if (plan->workspace && !allocate(plan, &block, workspace_bytes(plan, frame)))
        return NULL;
    bound->workspace = block.memory;
    bound->releases = plan->releases;
    bound->threads = plan->threads;
    bound->result = given_outputs(plan, frame, out);
    if (!bound->result)
        return NULL;
    bound->run = plan->run;
    return Py_NewRef(Py_None);
}

/* _bind(bound, *inputs, *outputs) makes a BoundCaller ready; scalars are arrays of rank 0. */
static PyObject *bind(PyObject *object, PyObject *const *in, Py_ssize_t count)
{
    Caller *self = (Caller *)object;
    Frame frame;
    if (!self->plan.run || count != 1 + self->plan.inputs + self->plan.outputs
        || !PyObject_TypeCheck(in[0], bound_type) || ((BoundCaller *)in[0])->in)
        Py_RETURN_NOTIMPLEMENTED;
    for (Py_ssize_t i = 1; i < count; ++i)
        if (!PyArray_CheckExact(in[i]))
            Py_RETURN_NOTIMPLEMENTED;
    if (!open_frame(&frame, &self->plan))
        return NULL;
    PyObject *result = bind_frame(self, (BoundCaller *)in[0], &frame, in + 1);
    close_frame(&frame);
    return result;
}

/* --- plans, from Python -------------------------------------------------------------------- */

/* The integers of a tuple; NULL with an exception set. */
static int64_t *integers(PyObject *tuple)
{
    const Py_ssize_t count = PyTuple_Size(tuple);
    int64_t *found = count < 0 ? NULL : PyMem_Calloc((size_t)count + 1, sizeof *found);
    if (!found && !PyErr_Occurred())
        PyErr_NoMemory();
    for (Py_ssize_t i = 0; found && i < count; ++i)
        found[i] = PyLong_AsLongLong(PyTuple_GET_ITEM(tuple, i));
    if (found && PyErr_Occurred()) {
        PyMem_Free(found);
        return NULL;
    }
    return found;
}

/* ((kind, (size, ...)), ...) */
static Slot *read_slots(PyObject *tuple, Py_ssize_t *count)
{
    Slot *slots = PyMem_Calloc((size_t)PyTuple_GET_SIZE(tuple) + 1, sizeof *slots);
    if (!slots) {
        PyErr_NoMemory();
        return NULL;
    }
    *count = PyTuple_GET_SIZE(tuple);
    for (Py_ssize_t i = 0; i < *count; ++i) {
        int kind;
        PyObject *sizes;
        if (!PyArg_ParseTuple(PyTuple_GET_ITEM(tuple, i), "iO!", &kind, &PyTuple_Type, &sizes)
            || !(slots[i].sizes = integers(sizes)))
            break;
        slots[i].kind = (Kind)kind;
        slots[i].rank = (int)PyTuple_GET_SIZE(sizes);
    }
    return slots;
}

static char *copied(const char *text)
{
    char *copy = PyMem_Malloc(strlen(text) + 1);
    if (!copy)
        PyErr_NoMemory();
    return copy ? strcpy(copy, text) : NULL;
}

/* The kernel's functions, from its library; it stays in memory, as modules do. */
static int find_functions(Plan *plan, PyObject *path)
{
    PyObject *encoded = PyUnicode_EncodeFSDefault(path);
    if (!encoded)
        return 0;
    void *library = dlopen(PyBytes_AsString(encoded), RTLD_NOW | RTLD_LOCAL);
    Py_DECREF(encoded);
    void *address = library ? dlsym(library, "graphc_run") : NULL;
    void *other = address && plan->measured ? dlsym(library, "graphc_measure") : NULL;
    if (!address || (plan->measured && !other)) {
        const char *told = dlerror();
        PyErr_SetString(PyExc_ImportError, told ? told : "no such function");
        return 0;
    }
    *(void **)&plan->run = address;
    *(void **)&plan->measure = other;
    return 1;
}

/* _prepare(path, name, inputs, outputs, sources, measured, homes, workspace, releases, threads,
   direct) */
static PyObject *prepare(PyObject *object, PyObject *args)
{
    Plan *plan = &((Caller *)object)->plan;
    PyObject *path, *in, *out, *sources, *homes;
    const char *name;
    long long workspace;
    clear_plan(plan);
    if (!PyArg_ParseTuple(args, "UsO!O!O!nO!Lppp", &path, &name, &PyTuple_Type, &in, &PyTuple_Type,
                          &out, &PyTuple_Type, &sources, &plan->measured, &PyTuple_Type, &homes,
                          &workspace, &plan->releases, &plan->threads, &plan->direct))
        return NULL;
    plan->workspace = workspace;
    plan->dims = PyTuple_GET_SIZE(sources) / 4; /* input, axis, step, offset of each */
    plan->in = read_slots(in, &plan->inputs);
    plan->out = PyErr_Occurred() ? NULL : read_slots(out, &plan->outputs);
    plan->sources = PyErr_Occurred() ? NULL : (Source *)integers(sources);
    plan->homes = PyErr_Occurred() ? NULL : integers(homes);
    plan->name = PyErr_Occurred() ? NULL : copied(name);
    for (Py_ssize_t j = 0; plan->homes && j < plan->outputs; ++j)
        plan->donates |= plan->homes[j] >= 0;
    if (PyErr_Occurred() || !find_functions(plan, path)) {
        clear_plan(plan);
        return NULL;
    }
    Py_RETURN_NONE;
}

/* --- the module ---------------------------------------------------------------------------- */

#define FAST(function) ((PyCFunction)(void (*)(void))(function))

static PyMethodDef caller_methods[] = {
    {"_prepare", prepare, METH_VARARGS, NULL},
    {"_call", FAST(call_fresh), METH_FASTCALL, NULL},
    {"_call_into", FAST(call_into), METH_FASTCALL, NULL},
    {"_bind", FAST(bind), METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef caller_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Caller, vectorcall), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot caller_slots[] = {
    {Py_tp_new, (void *)caller_new},
    {Py_tp_dealloc, (void *)caller_free},
    {Py_tp_call, (void *)PyVectorcall_Call},
    {Py_tp_methods, caller_methods},
    {Py_tp_members, caller_members},
    {0, NULL},
};

static PyType_Spec caller_spec = {
    "graphc._caller.Caller", sizeof(Caller), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_VECTORCALL, caller_slots,
};

static PyMemberDef bound_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(BoundCaller, vectorcall), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot bound_slots[] = {
    {Py_tp_new, (void *)bound_new},
    {Py_tp_dealloc, (void *)bound_free},
    {Py_tp_call, (void *)PyVectorcall_Call},
    {Py_tp_members, bound_members},
    {0, NULL},
};

static PyType_Spec bound_spec = {
    "graphc._caller.BoundCaller", sizeof(BoundCaller), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_VECTORCALL, bound_slots,
};

/* quicken(cls): classes on top of these take calls as fast as they do. */
static PyObject *quicken(PyObject *module, PyObject *object)
{
    (void)module;
    if (!PyType_Check(object)) {
        PyErr_SetString(PyExc_TypeError, "quicken takes a class");
        return NULL;
    }
#if PY_VERSION_HEX < 0x030C0000 /* later ones do it themselves, and undo it for a new __call__ */
    PyTypeObject *type = (PyTypeObject *)object;
    type->tp_flags |= Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_IMMUTABLETYPE;
    PyType_Modified(type);
#endif
    Py_RETURN_NONE;
}

/* bfloat16(number): NumPy's number of that type. */
static PyObject *bfloat16(PyObject *module, PyObject *object)
{
    (void)module;
    const long number = PyLong_AsLong(object);
    if (number == -1 && PyErr_Occurred())
        return NULL;
    number_of[BFLOAT16] = (int)number;
    Py_RETURN_NONE;
}

static PyMethodDef module_methods[] = {
    {"bfloat16", bfloat16, METH_O, NULL},
    {"quicken", quicken, METH_O, NULL},
    {"keep", keep, METH_O, NULL},
    {"limit", limit, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static int execute(PyObject *module)
{
    import_array1(-1);
    spare_handler = PyCapsule_New(&spare_memory, "mem_handler", NULL);
    if (!spare_handler)
        return -1;
    pthread_atfork(NULL, NULL, note_fork);
    PyObject *caller = PyType_FromModuleAndSpec(module, &caller_spec, NULL);
    if (!caller || PyModule_AddType(module, (PyTypeObject *)caller))
        return -1;
    Py_DECREF(caller);
    bound_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &bound_spec, NULL);
    return bound_type ? PyModule_AddType(module, bound_type) : -1;
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, (void *)execute},
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_caller", NULL, 0, module_methods, module_slots, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__caller(void)
{
    return PyModuleDef_Init(&definition);
}
