/*# How Python reaches a kernel without passing through Python code. One file a kernel. #*/
/* Python's way into ${ kernel }: reads the arguments, checks them, calls.

   Whatever is not exactly as ${ kernel } wants it is answered with NotImplemented, without an
   exception: graphc.kernel then converts it, or says what is wrong with it. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#define NPY_TARGET_VERSION NPY_2_0_API_VERSION
#include <numpy/arrayobject.h>
#include <numpy/arrayscalars.h>

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

#include "${ kernel }.h"

#define FASTCALL_INPUTS ${ inputs | length }
#define FASTCALL_OUTPUTS ${ outputs | length }
/*% set ctype = {"bool": "bool", "int32": "int32_t", "int64": "int64_t",
                  "float32": "float", "float64": "double"} %*/
/*% set number = {"bool": "NPY_BOOL", "int32": "NPY_INT32", "int64": "NPY_INT64",
                   "float32": "NPY_FLOAT32", "float64": "NPY_FLOAT64"} %*/

/* The arguments of one call, as C sees them. */
typedef struct {
/*% for x in inputs %*/
    /*% if x.rank %*/
    const ${ ctype[x.dtype] } *in_${ x.name };
    /*% else %*/
    ${ ctype[x.dtype] } in_${ x.name };
    /*% endif %*/
/*% endfor %*/
/*% for dim in dims %*/
    int64_t dim_${ dim.name };
/*% endfor %*/
/*% for y in outputs %*/
    ${ ctype[y.dtype] } *out_${ y.name };
/*% endfor %*/
    char unused; /* a struct has a member, even for a kernel without arguments */
} FastcallArgs;

static inline void fastcall_run(const FastcallArgs *fastcall_call, void *fastcall_workspace)
{
    (void)fastcall_call;
    (void)fastcall_workspace;
    ${ kernel }(${ arguments | join(", ") });
}

/* --- sizes: // and % as Python rounds them; a divisor of 0 gives a size no array has ------- */

static inline int64_t fastcall_floor_div(int64_t a, int64_t b)
{
    if (b == 0)
        return -1;
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

static inline int64_t fastcall_floor_mod(int64_t a, int64_t b)
{
    return b == 0 ? -1 : a - b * fastcall_floor_div(a, b);
}

static inline int64_t fastcall_smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t fastcall_larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* --- arguments: each function returns whether it could take the object as it is ------------ */

static inline int fastcall_is_array(PyObject *object, int type, int rank)
{
    if (!PyArray_CheckExact(object))
        return 0;
    PyArrayObject *array = (PyArrayObject *)object;
    return PyArray_TYPE(array) == type && PyArray_NDIM(array) == rank && PyArray_ISCARRAY_RO(array);
}

static inline const void *fastcall_data_of(PyObject *array)
{
    return PyArray_DATA((PyArrayObject *)array);
}

static inline int fastcall_take_float64(PyObject *object, double *x)
{
    if (PyFloat_Check(object)) { /* numpy.float64 is one */
        *x = PyFloat_AS_DOUBLE(object);
        return 1;
    }
    if (PyLong_Check(object)) {
        *x = PyLong_AsDouble(object);
        if (*x == -1.0 && PyErr_Occurred()) { /* beyond the largest double */
            PyErr_Clear();
            return 0;
        }
        return 1;
    }
    if (!fastcall_is_array(object, NPY_FLOAT64, 0))
        return 0;
    *x = *(const double *)fastcall_data_of(object);
    return 1;
}

static inline int fastcall_take_float32(PyObject *object, float *x)
{
    if (PyArray_IsScalar(object, Float32)) {
        *x = PyArrayScalar_VAL(object, Float32);
        return 1;
    }
    if (PyFloat_CheckExact(object) || PyLong_Check(object)) {
        double wide;
        if (!fastcall_take_float64(object, &wide))
            return 0;
        *x = (float)wide;
        return !isinf(*x) || isinf(wide);
    }
    if (!fastcall_is_array(object, NPY_FLOAT32, 0))
        return 0;
    *x = *(const float *)fastcall_data_of(object);
    return 1;
}

static inline int fastcall_take_int64(PyObject *object, int64_t *x)
{
    if (PyLong_Check(object)) {
        int overflow;
        *x = PyLong_AsLongLongAndOverflow(object, &overflow);
        return !overflow;
    }
    if (PyArray_IsScalar(object, Int64)) {
        *x = PyArrayScalar_VAL(object, Int64);
        return 1;
    }
    if (!fastcall_is_array(object, NPY_INT64, 0))
        return 0;
    *x = *(const int64_t *)fastcall_data_of(object);
    return 1;
}

static inline int fastcall_take_int32(PyObject *object, int32_t *x)
{
    if (PyLong_Check(object)) {
        int64_t wide;
        if (!fastcall_take_int64(object, &wide) || wide < INT32_MIN || wide > INT32_MAX)
            return 0;
        *x = (int32_t)wide;
        return 1;
    }
    if (PyArray_IsScalar(object, Int32)) {
        *x = PyArrayScalar_VAL(object, Int32);
        return 1;
    }
    if (!fastcall_is_array(object, NPY_INT32, 0))
        return 0;
    *x = *(const int32_t *)fastcall_data_of(object);
    return 1;
}

static inline int fastcall_take_bool(PyObject *object, bool *x)
{
    if (PyBool_Check(object)) {
        *x = object == Py_True;
        return 1;
    }
    if (PyArray_IsScalar(object, Bool)) {
        *x = PyArrayScalar_VAL(object, Bool) != 0;
        return 1;
    }
    if (!fastcall_is_array(object, NPY_BOOL, 0))
        return 0;
    *x = *(const npy_bool *)fastcall_data_of(object) != 0;
    return 1;
}

static inline int fastcall_take_inputs(FastcallArgs *call, PyObject *const *in)
{
    (void)call;
    (void)in;
/*% for x in inputs %*/
    /*% if x.rank %*/
    if (!fastcall_is_array(in[${ loop.index0 }], ${ number[x.dtype] }, ${ x.rank }))
        return 0;
    const npy_intp *shape_${ x.name } = PyArray_DIMS((PyArrayObject *)in[${ loop.index0 }]);
    (void)shape_${ x.name };
    call->in_${ x.name } = fastcall_data_of(in[${ loop.index0 }]);
    /*% else %*/
    if (!fastcall_take_${ x.dtype }(in[${ loop.index0 }], &call->in_${ x.name }))
        return 0;
    /*% endif %*/
/*% endfor %*/
/*% for dim in dims %*/
    const int64_t dim_${ dim.name } = ${ dim.value };
    if (dim_${ dim.name } < 0)
        return 0;
    call->dim_${ dim.name } = dim_${ dim.name };
/*% endfor %*/
/*% for check in checks %*/
    if (shape_${ check.input }[${ check.axis }] != ${ check.size })
        return 0;
/*% endfor %*/
    return 1;
}

/* --- outputs ------------------------------------------------------------------------------- */

/* Whether arrays a and b, both contiguous, have no byte in common. */
static inline int fastcall_apart(PyObject *a, PyObject *b)
{
    PyArrayObject *x = (PyArrayObject *)a, *y = (PyArrayObject *)b;
    const uintptr_t p = (uintptr_t)PyArray_DATA(x), q = (uintptr_t)PyArray_DATA(y);
    const uintptr_t m = (uintptr_t)PyArray_NBYTES(x), n = (uintptr_t)PyArray_NBYTES(y);
    return m == 0 || n == 0 || p + m <= q || q + n <= p;
}

/* The caller's arrays become the outputs: writable, of the right type and shape, and apart. */
static int fastcall_take_outputs(FastcallArgs *call, PyObject *const *in, PyObject *const *out)
{
    (void)call;
    (void)in;
    (void)out;
/*% for dim in dims %*/
    const int64_t dim_${ dim.name } = call->dim_${ dim.name };
    (void)dim_${ dim.name };
/*% endfor %*/
/*% for y in outputs %*/
    /*% set j = loop.index0 %*/
    if (!fastcall_is_array(out[${ j }], ${ number[y.dtype] }, ${ y.rank })
        || !PyArray_ISWRITEABLE((PyArrayObject *)out[${ j }]))
        return 0;
    /*% for size in y.shape %*/
    if (PyArray_DIMS((PyArrayObject *)out[${ j }])[${ loop.index0 }] != ${ size })
        return 0;
    /*% endfor %*/
    /*% for x in inputs if x.rank %*/
    if (!fastcall_apart(out[${ j }], in[${ x.index }]))
        return 0;
    /*% endfor %*/
    /*% for i in range(j) %*/
    if (!fastcall_apart(out[${ j }], out[${ i }]))
        return 0;
    /*% endfor %*/
    call->out_${ y.name } = PyArray_DATA((PyArrayObject *)out[${ j }]);
/*% endfor %*/
    return 1;
}

static inline PyObject *fastcall_make_bool(bool x)
{
    PyObject *scalar = x ? PyArrayScalar_True : PyArrayScalar_False;
    Py_INCREF(scalar);
    return scalar;
}

#define FASTCALL_MAKE_SCALAR(dtype, Kind, type)                                           \
    static inline PyObject *fastcall_make_##dtype(type x)                                 \
    {                                                                                     \
        PyObject *scalar = PyArrayScalar_New(Kind);                                       \
        if (scalar)                                                                       \
            PyArrayScalar_ASSIGN(scalar, Kind, x);                                        \
        return scalar;                                                                    \
    }
FASTCALL_MAKE_SCALAR(int32, Int32, int32_t)
FASTCALL_MAKE_SCALAR(int64, Int64, int64_t)
FASTCALL_MAKE_SCALAR(float32, Float32, float)
FASTCALL_MAKE_SCALAR(float64, Float64, double)

/* The outputs as Python's caller gets them: the one, or a tuple; takes over the references. */
static inline PyObject *fastcall_result_of(PyObject **out)
{
/*% if outputs | length == 1 %*/
    return out[0];
/*% else %*/
    PyObject *tuple = PyTuple_New(FASTCALL_OUTPUTS);
    for (int i = 0; i < FASTCALL_OUTPUTS; ++i) {
        if (tuple)
            PyTuple_SET_ITEM(tuple, i, out[i]);
        else
            Py_DECREF(out[i]);
    }
    return tuple;
/*% endif %*/
}

static PyObject *fastcall_give_up(PyObject **out, int made)
{
    for (int i = 0; i < made; ++i)
        Py_DECREF(out[i]);
    return NULL;
}

/*% if workspace %*/
/* --- workspaces: one for each call that is running; a few are kept for the next ones -------- */

#define FASTCALL_KEPT 8
#define FASTCALL_HUGE_PAGE ((size_t)2 << 20)

typedef struct {
    size_t bytes;
    void *memory;
} FastcallBlock;

/* Only touched with the GIL held. */
typedef struct {
    int count;
    FastcallBlock blocks[FASTCALL_KEPT];
} FastcallPool;

static int fastcall_allocate(FastcallBlock *block, size_t bytes)
{
    const size_t alignment = bytes >= FASTCALL_HUGE_PAGE ? FASTCALL_HUGE_PAGE : 64;
    block->bytes = (bytes / alignment + 1) * alignment;
    block->memory = aligned_alloc(alignment, block->bytes);
    if (!block->memory) {
        PyErr_Format(PyExc_MemoryError, "${ kernel } needs a workspace of %zu bytes", bytes);
        return 0;
    }
#ifdef MADV_HUGEPAGE
    if (bytes >= FASTCALL_HUGE_PAGE)
        madvise(block->memory, block->bytes, MADV_HUGEPAGE);
#endif
    return 1;
}

static inline int fastcall_borrow(FastcallPool *pool, FastcallBlock *block, size_t bytes)
{
    if (pool->count) {
        *block = pool->blocks[--pool->count];
        if (block->bytes >= bytes)
            return 1;
        free(block->memory);
    }
    return fastcall_allocate(block, bytes);
}

static inline void fastcall_give_back(FastcallPool *pool, FastcallBlock block)
{
    if (pool->count < FASTCALL_KEPT)
        pool->blocks[pool->count++] = block;
    else
        free(block.memory);
}

static void fastcall_free_pool(PyObject *capsule)
{
    FastcallPool *pool = PyCapsule_GetPointer(capsule, NULL);
    while (pool->count)
        free(pool->blocks[--pool->count].memory);
    free(pool);
}

static inline int64_t fastcall_workspace_bytes(const FastcallArgs *call)
{
    (void)call;
/*% for dim in dims %*/
    const int64_t dim_${ dim.name } = call->dim_${ dim.name };
    (void)dim_${ dim.name };
/*% endfor %*/
    return ${ workspace };
}

/*% endif %*/
/* --- the calls ----------------------------------------------------------------------------- */

/* Runs the kernel with a workspace of its own, without the GIL where that repays the cost. */
static inline int fastcall_run_once(PyObject *self, const FastcallArgs *call)
{
    (void)self;
    void *workspace = NULL;
/*% if workspace %*/
    FastcallPool *pool = PyCapsule_GetPointer(self, NULL);
    FastcallBlock block;
    const int64_t bytes = fastcall_workspace_bytes(call);
    if (!fastcall_borrow(pool, &block, bytes > 0 ? (size_t)bytes : 0))
        return 0;
    workspace = block.memory;
/*% endif %*/
/*% if releases %*/
    Py_BEGIN_ALLOW_THREADS
    fastcall_run(call, workspace);
    Py_END_ALLOW_THREADS
/*% else %*/
    fastcall_run(call, workspace);
/*% endif %*/
/*% if workspace %*/
    fastcall_give_back(pool, block);
/*% endif %*/
    return 1;
}

/* call(*inputs): the outputs are new. */
static PyObject *fastcall_call_fresh(PyObject *self, PyObject *const *in, Py_ssize_t count)
{
    FastcallArgs call;
    PyObject *out[FASTCALL_OUTPUTS + 1];
    int made = 0;
    if (count != FASTCALL_INPUTS || !fastcall_take_inputs(&call, in))
        Py_RETURN_NOTIMPLEMENTED;
/*% for dim in dims %*/
    const int64_t dim_${ dim.name } = call.dim_${ dim.name };
    (void)dim_${ dim.name };
/*% endfor %*/
/*% for y in outputs %*/
    /*% if y.rank %*/
    npy_intp shape_${ y.name }[] = {${ y.shape | join(", ") }};
    out[made] = PyArray_SimpleNew(${ y.rank }, shape_${ y.name }, ${ number[y.dtype] });
    if (!out[made])
        return fastcall_give_up(out, made);
    call.out_${ y.name } = PyArray_DATA((PyArrayObject *)out[made++]);
    /*% else %*/
    ${ ctype[y.dtype] } value_${ y.name };
    call.out_${ y.name } = &value_${ y.name };
    out[made++] = Py_NewRef(Py_None); /* until the value is known */
    /*% endif %*/
/*% endfor %*/
    if (!fastcall_run_once(self, &call))
        return fastcall_give_up(out, made);
/*% for y in outputs if not y.rank %*/
    Py_DECREF(out[${ y.index }]);
    out[${ y.index }] = fastcall_make_${ y.dtype }(value_${ y.name });
    if (!out[${ y.index }]) {
        out[${ y.index }] = Py_NewRef(Py_None);
        return fastcall_give_up(out, made);
    }
/*% endfor %*/
    return fastcall_result_of(out);
}

/* call_into(*inputs, *outputs): writes into the arrays given. */
static PyObject *fastcall_call_into(PyObject *self, PyObject *const *in, Py_ssize_t count)
{
    FastcallArgs call;
    PyObject *out[FASTCALL_OUTPUTS + 1];
    if (count != FASTCALL_INPUTS + FASTCALL_OUTPUTS || !fastcall_take_inputs(&call, in)
        || !fastcall_take_outputs(&call, in, in + FASTCALL_INPUTS))
        Py_RETURN_NOTIMPLEMENTED;
    if (!fastcall_run_once(self, &call))
        return NULL;
    for (int i = 0; i < FASTCALL_OUTPUTS; ++i)
        out[i] = Py_NewRef(in[FASTCALL_INPUTS + i]);
    return fastcall_result_of(out);
}

/* --- bound calls: everything checked beforehand -------------------------------------------- */

typedef struct {
    FastcallArgs call;
    const void *scalars[FASTCALL_INPUTS + 1]; /* read again at each call */
    void *workspace;
    PyObject *arrays; /* keeps the memory of inputs and outputs */
    PyObject *result;
} FastcallBound;

static void fastcall_free_bound(PyObject *capsule)
{
    FastcallBound *bound = PyCapsule_GetPointer(capsule, NULL);
    Py_XDECREF(bound->arrays);
    Py_XDECREF(bound->result);
    free(bound->workspace);
    free(bound);
}

static PyObject *fastcall_call_bound(PyObject *self, PyObject *nothing)
{
    (void)nothing;
    FastcallBound *bound = PyCapsule_GetPointer(self, NULL);
    FastcallArgs call = bound->call;
/*% for x in inputs if not x.rank %*/
    call.in_${ x.name } = *(const ${ ctype[x.dtype] } *)bound->scalars[${ x.index }];
/*% endfor %*/
/*% if releases %*/
    Py_BEGIN_ALLOW_THREADS
    fastcall_run(&call, bound->workspace);
    Py_END_ALLOW_THREADS
/*% else %*/
    fastcall_run(&call, bound->workspace);
/*% endif %*/
    return Py_NewRef(bound->result);
}

static PyMethodDef fastcall_bound_method = {"call", fastcall_call_bound, METH_NOARGS, NULL};

/* bind(*inputs, *outputs): a function without arguments; scalars are arrays of rank 0. */
static PyObject *fastcall_bind(PyObject *self, PyObject *const *in, Py_ssize_t count)
{
    (void)self;
    if (count != FASTCALL_INPUTS + FASTCALL_OUTPUTS)
        Py_RETURN_NOTIMPLEMENTED;
    for (Py_ssize_t i = 0; i < count; ++i)
        if (!PyArray_CheckExact(in[i]))
            Py_RETURN_NOTIMPLEMENTED;
    FastcallBound *bound = calloc(1, sizeof *bound);
    if (!bound)
        return PyErr_NoMemory();
    PyObject *capsule = PyCapsule_New(bound, NULL, fastcall_free_bound);
    if (!capsule) {
        free(bound);
        return NULL;
    }
    if (!fastcall_take_inputs(&bound->call, in)
        || !fastcall_take_outputs(&bound->call, in, in + FASTCALL_INPUTS)) {
        Py_DECREF(capsule);
        Py_RETURN_NOTIMPLEMENTED;
    }
    PyObject *call = NULL, *out[FASTCALL_OUTPUTS + 1];
    bound->arrays = PyTuple_New(count);
    if (!bound->arrays)
        goto done;
    for (Py_ssize_t i = 0; i < count; ++i)
        PyTuple_SET_ITEM(bound->arrays, i, Py_NewRef(in[i]));
/*% for x in inputs if not x.rank %*/
    bound->scalars[${ x.index }] = fastcall_data_of(in[${ x.index }]);
/*% endfor %*/
/*% if workspace %*/
    FastcallBlock block;
    const int64_t bytes = fastcall_workspace_bytes(&bound->call);
    if (!fastcall_allocate(&block, bytes > 0 ? (size_t)bytes : 0))
        goto done;
    bound->workspace = block.memory;
/*% endif %*/
    for (int i = 0; i < FASTCALL_OUTPUTS; ++i)
        out[i] = Py_NewRef(in[FASTCALL_INPUTS + i]);
    bound->result = fastcall_result_of(out);
    if (bound->result)
        call = PyCFunction_New(&fastcall_bound_method, capsule);
done:
    Py_DECREF(capsule);
    return call;
}

/* --- the module: functions() makes them, with workspaces of their own ----------------------- */

static PyMethodDef fastcall_call_methods[] = {
    {"call", (PyCFunction)(void (*)(void))fastcall_call_fresh, METH_FASTCALL, NULL},
    {"call_into", (PyCFunction)(void (*)(void))fastcall_call_into, METH_FASTCALL, NULL},
    {"bind", (PyCFunction)(void (*)(void))fastcall_bind, METH_FASTCALL, NULL},
};

static PyObject *fastcall_functions(PyObject *module, PyObject *nothing)
{
    (void)module;
    (void)nothing;
/*% if workspace %*/
    FastcallPool *pool = calloc(1, sizeof *pool);
    if (!pool)
        return PyErr_NoMemory();
    PyObject *self = PyCapsule_New(pool, NULL, fastcall_free_pool);
    if (!self) {
        free(pool);
        return NULL;
    }
/*% else %*/
    PyObject *self = Py_NewRef(Py_None);
/*% endif %*/
    PyObject *made[3];
    for (int i = 0; i < 3; ++i)
        made[i] = PyCFunction_New(&fastcall_call_methods[i], self);
    Py_DECREF(self);
    PyObject *all = NULL;
    if (made[0] && made[1] && made[2])
        all = PyTuple_Pack(3, made[0], made[1], made[2]);
    for (int i = 0; i < 3; ++i)
        Py_XDECREF(made[i]);
    return all;
}

static PyMethodDef fastcall_methods[] = {
    {"functions", fastcall_functions, METH_NOARGS, "(call, call_into, bind) of ${ kernel }."},
    {NULL, NULL, 0, NULL},
};

static int fastcall_execute(PyObject *module)
{
    (void)module;
    import_array1(-1);
    return 0;
}

/* In two phases, so that kernels of one name do not meet in sys.modules. */
static PyModuleDef_Slot fastcall_slots[] = {
    {Py_mod_exec, (void *)fastcall_execute},
    {0, NULL},
};

static struct PyModuleDef fastcall_definition = {
    PyModuleDef_HEAD_INIT, "${ module }", NULL, 0, fastcall_methods, fastcall_slots,
    NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit_${ module }(void)
{
    return PyModuleDef_Init(&fastcall_definition);
}
