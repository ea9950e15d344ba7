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

#define G_INPUTS ${ inputs | length }
#define G_OUTPUTS ${ outputs | length }
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
} GCall;

static inline void g_run(const GCall *g_call, void *g_workspace)
{
    (void)g_call;
    (void)g_workspace;
    ${ kernel }(${ arguments | join(", ") });
}

/* --- sizes: // and % as Python rounds them; a divisor of 0 gives a size no array has ------- */

static inline int64_t g_floor_div(int64_t a, int64_t b)
{
    if (b == 0)
        return -1;
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

static inline int64_t g_floor_mod(int64_t a, int64_t b)
{
    return b == 0 ? -1 : a - b * g_floor_div(a, b);
}

static inline int64_t g_smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t g_larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* --- arguments: each function returns whether it could take the object as it is ------------ */

static inline int g_is_array(PyObject *object, int type, int rank)
{
    if (!PyArray_CheckExact(object))
        return 0;
    PyArrayObject *array = (PyArrayObject *)object;
    return PyArray_TYPE(array) == type && PyArray_NDIM(array) == rank && PyArray_ISCARRAY_RO(array);
}

static inline const void *g_data_of(PyObject *array)
{
    return PyArray_DATA((PyArrayObject *)array);
}

static inline int g_take_float64(PyObject *object, double *x)
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
    if (!g_is_array(object, NPY_FLOAT64, 0))
        return 0;
    *x = *(const double *)g_data_of(object);
    return 1;
}

static inline int g_take_float32(PyObject *object, float *x)
{
    if (PyArray_IsScalar(object, Float32)) {
        *x = PyArrayScalar_VAL(object, Float32);
        return 1;
    }
    if (PyFloat_CheckExact(object) || PyLong_Check(object)) {
        double wide;
        if (!g_take_float64(object, &wide))
            return 0;
        *x = (float)wide;
        return !isinf(*x) || isinf(wide);
    }
    if (!g_is_array(object, NPY_FLOAT32, 0))
        return 0;
    *x = *(const float *)g_data_of(object);
    return 1;
}

static inline int g_take_int64(PyObject *object, int64_t *x)
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
    if (!g_is_array(object, NPY_INT64, 0))
        return 0;
    *x = *(const int64_t *)g_data_of(object);
    return 1;
}

static inline int g_take_int32(PyObject *object, int32_t *x)
{
    if (PyLong_Check(object)) {
        int64_t wide;
        if (!g_take_int64(object, &wide) || wide < INT32_MIN || wide > INT32_MAX)
            return 0;
        *x = (int32_t)wide;
        return 1;
    }
    if (PyArray_IsScalar(object, Int32)) {
        *x = PyArrayScalar_VAL(object, Int32);
        return 1;
    }
    if (!g_is_array(object, NPY_INT32, 0))
        return 0;
    *x = *(const int32_t *)g_data_of(object);
    return 1;
}

static inline int g_take_bool(PyObject *object, bool *x)
{
    if (PyBool_Check(object)) {
        *x = object == Py_True;
        return 1;
    }
    if (PyArray_IsScalar(object, Bool)) {
        *x = PyArrayScalar_VAL(object, Bool) != 0;
        return 1;
    }
    if (!g_is_array(object, NPY_BOOL, 0))
        return 0;
    *x = *(const npy_bool *)g_data_of(object) != 0;
    return 1;
}

static inline int g_take_inputs(GCall *call, PyObject *const *in)
{
    (void)call;
    (void)in;
/*% for x in inputs %*/
    /*% if x.rank %*/
    if (!g_is_array(in[${ loop.index0 }], ${ number[x.dtype] }, ${ x.rank }))
        return 0;
    const npy_intp *shape_${ x.name } = PyArray_DIMS((PyArrayObject *)in[${ loop.index0 }]);
    (void)shape_${ x.name };
    call->in_${ x.name } = g_data_of(in[${ loop.index0 }]);
    /*% else %*/
    if (!g_take_${ x.dtype }(in[${ loop.index0 }], &call->in_${ x.name }))
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
static inline int g_apart(PyObject *a, PyObject *b)
{
    PyArrayObject *x = (PyArrayObject *)a, *y = (PyArrayObject *)b;
    const uintptr_t p = (uintptr_t)PyArray_DATA(x), q = (uintptr_t)PyArray_DATA(y);
    const uintptr_t m = (uintptr_t)PyArray_NBYTES(x), n = (uintptr_t)PyArray_NBYTES(y);
    return m == 0 || n == 0 || p + m <= q || q + n <= p;
}

/* The caller's arrays become the outputs: writable, of the right type and shape, and apart. */
static int g_take_outputs(GCall *call, PyObject *const *in, PyObject *const *out)
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
    if (!g_is_array(out[${ j }], ${ number[y.dtype] }, ${ y.rank })
        || !PyArray_ISWRITEABLE((PyArrayObject *)out[${ j }]))
        return 0;
    /*% for size in y.shape %*/
    if (PyArray_DIMS((PyArrayObject *)out[${ j }])[${ loop.index0 }] != ${ size })
        return 0;
    /*% endfor %*/
    /*% for x in inputs if x.rank %*/
    if (!g_apart(out[${ j }], in[${ x.index }]))
        return 0;
    /*% endfor %*/
    /*% for i in range(j) %*/
    if (!g_apart(out[${ j }], out[${ i }]))
        return 0;
    /*% endfor %*/
    call->out_${ y.name } = PyArray_DATA((PyArrayObject *)out[${ j }]);
/*% endfor %*/
    return 1;
}

static inline PyObject *g_make_bool(bool x)
{
    PyObject *scalar = x ? PyArrayScalar_True : PyArrayScalar_False;
    Py_INCREF(scalar);
    return scalar;
}

#define G_MAKE_SCALAR(dtype, Kind, type)                                                           \
    static inline PyObject *g_make_##dtype(type x)                                                 \
    {                                                                                            \
        PyObject *scalar = PyArrayScalar_New(Kind);                                              \
        if (scalar)                                                                              \
            PyArrayScalar_ASSIGN(scalar, Kind, x);                                               \
        return scalar;                                                                           \
    }
G_MAKE_SCALAR(int32, Int32, int32_t)
G_MAKE_SCALAR(int64, Int64, int64_t)
G_MAKE_SCALAR(float32, Float32, float)
G_MAKE_SCALAR(float64, Float64, double)

/* The outputs as Python's caller gets them: the one, or a tuple; takes over the references. */
static inline PyObject *g_result_of(PyObject **out)
{
/*% if outputs | length == 1 %*/
    return out[0];
/*% else %*/
    PyObject *tuple = PyTuple_New(G_OUTPUTS);
    for (int i = 0; i < G_OUTPUTS; ++i) {
        if (tuple)
            PyTuple_SET_ITEM(tuple, i, out[i]);
        else
            Py_DECREF(out[i]);
    }
    return tuple;
/*% endif %*/
}

static PyObject *g_give_up(PyObject **out, int made)
{
    for (int i = 0; i < made; ++i)
        Py_DECREF(out[i]);
    return NULL;
}

/*% if workspace %*/
/* --- workspaces: one for each call that is running; a few are kept for the next ones -------- */

#define G_KEPT 8
#define G_HUGE_PAGE ((size_t)2 << 20)

typedef struct {
    size_t bytes;
    void *memory;
} GBlock;

/* Only touched with the GIL held. */
typedef struct {
    int count;
    GBlock blocks[G_KEPT];
} GPool;

static int g_allocate(GBlock *block, size_t bytes)
{
    const size_t alignment = bytes >= G_HUGE_PAGE ? G_HUGE_PAGE : 64;
    block->bytes = (bytes / alignment + 1) * alignment;
    block->memory = aligned_alloc(alignment, block->bytes);
    if (!block->memory) {
        PyErr_Format(PyExc_MemoryError, "${ kernel } needs a workspace of %zu bytes", bytes);
        return 0;
    }
#ifdef MADV_HUGEPAGE
    if (bytes >= G_HUGE_PAGE)
        madvise(block->memory, block->bytes, MADV_HUGEPAGE);
#endif
    return 1;
}

static inline int g_borrow(GPool *pool, GBlock *block, size_t bytes)
{
    if (pool->count) {
        *block = pool->blocks[--pool->count];
        if (block->bytes >= bytes)
            return 1;
        free(block->memory);
    }
    return g_allocate(block, bytes);
}

static inline void g_give_back(GPool *pool, GBlock block)
{
    if (pool->count < G_KEPT)
        pool->blocks[pool->count++] = block;
    else
        free(block.memory);
}

static void g_free_pool(PyObject *capsule)
{
    GPool *pool = PyCapsule_GetPointer(capsule, NULL);
    while (pool->count)
        free(pool->blocks[--pool->count].memory);
    free(pool);
}

static inline int64_t g_workspace_bytes(const GCall *call)
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
static inline int g_run_once(PyObject *self, const GCall *call)
{
    (void)self;
    void *workspace = NULL;
/*% if workspace %*/
    GPool *pool = PyCapsule_GetPointer(self, NULL);
    GBlock block;
    const int64_t bytes = g_workspace_bytes(call);
    if (!g_borrow(pool, &block, bytes > 0 ? (size_t)bytes : 0))
        return 0;
    workspace = block.memory;
/*% endif %*/
/*% if releases %*/
    Py_BEGIN_ALLOW_THREADS
    g_run(call, workspace);
    Py_END_ALLOW_THREADS
/*% else %*/
    g_run(call, workspace);
/*% endif %*/
/*% if workspace %*/
    g_give_back(pool, block);
/*% endif %*/
    return 1;
}

/* call(*inputs): the outputs are new. */
static PyObject *g_call_fresh(PyObject *self, PyObject *const *in, Py_ssize_t count)
{
    GCall call;
    PyObject *out[G_OUTPUTS + 1];
    int made = 0;
    if (count != G_INPUTS || !g_take_inputs(&call, in))
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
        return g_give_up(out, made);
    call.out_${ y.name } = PyArray_DATA((PyArrayObject *)out[made++]);
    /*% else %*/
    ${ ctype[y.dtype] } value_${ y.name };
    call.out_${ y.name } = &value_${ y.name };
    out[made++] = Py_NewRef(Py_None); /* until the value is known */
    /*% endif %*/
/*% endfor %*/
    if (!g_run_once(self, &call))
        return g_give_up(out, made);
/*% for y in outputs if not y.rank %*/
    Py_DECREF(out[${ y.index }]);
    out[${ y.index }] = g_make_${ y.dtype }(value_${ y.name });
    if (!out[${ y.index }]) {
        out[${ y.index }] = Py_NewRef(Py_None);
        return g_give_up(out, made);
    }
/*% endfor %*/
    return g_result_of(out);
}

/* call_into(*inputs, *outputs): writes into the arrays given. */
static PyObject *g_call_into(PyObject *self, PyObject *const *in, Py_ssize_t count)
{
    GCall call;
    PyObject *out[G_OUTPUTS + 1];
    if (count != G_INPUTS + G_OUTPUTS || !g_take_inputs(&call, in)
        || !g_take_outputs(&call, in, in + G_INPUTS))
        Py_RETURN_NOTIMPLEMENTED;
    if (!g_run_once(self, &call))
        return NULL;
    for (int i = 0; i < G_OUTPUTS; ++i)
        out[i] = Py_NewRef(in[G_INPUTS + i]);
    return g_result_of(out);
}

/* --- bound calls: everything checked beforehand -------------------------------------------- */

typedef struct {
    GCall call;
    const void *scalars[G_INPUTS + 1]; /* read again at each call */
    void *workspace;
    PyObject *arrays; /* keeps the memory of inputs and outputs */
    PyObject *result;
} GBound;

static void g_free_bound(PyObject *capsule)
{
    GBound *bound = PyCapsule_GetPointer(capsule, NULL);
    Py_XDECREF(bound->arrays);
    Py_XDECREF(bound->result);
    free(bound->workspace);
    free(bound);
}

static PyObject *g_call_bound(PyObject *self, PyObject *nothing)
{
    (void)nothing;
    GBound *bound = PyCapsule_GetPointer(self, NULL);
    GCall call = bound->call;
/*% for x in inputs if not x.rank %*/
    call.in_${ x.name } = *(const ${ ctype[x.dtype] } *)bound->scalars[${ x.index }];
/*% endfor %*/
/*% if releases %*/
    Py_BEGIN_ALLOW_THREADS
    g_run(&call, bound->workspace);
    Py_END_ALLOW_THREADS
/*% else %*/
    g_run(&call, bound->workspace);
/*% endif %*/
    return Py_NewRef(bound->result);
}

static PyMethodDef g_bound_method = {"call", g_call_bound, METH_NOARGS, NULL};

/* bind(*inputs, *outputs): a function without arguments; scalars are arrays of rank 0. */
static PyObject *g_bind(PyObject *self, PyObject *const *in, Py_ssize_t count)
{
    (void)self;
    if (count != G_INPUTS + G_OUTPUTS)
        Py_RETURN_NOTIMPLEMENTED;
    for (Py_ssize_t i = 0; i < count; ++i)
        if (!PyArray_CheckExact(in[i]))
            Py_RETURN_NOTIMPLEMENTED;
    GBound *bound = calloc(1, sizeof *bound);
    if (!bound)
        return PyErr_NoMemory();
    PyObject *capsule = PyCapsule_New(bound, NULL, g_free_bound);
    if (!capsule) {
        free(bound);
        return NULL;
    }
    if (!g_take_inputs(&bound->call, in) || !g_take_outputs(&bound->call, in, in + G_INPUTS)) {
        Py_DECREF(capsule);
        Py_RETURN_NOTIMPLEMENTED;
    }
    PyObject *call = NULL, *out[G_OUTPUTS + 1];
    bound->arrays = PyTuple_New(count);
    if (!bound->arrays)
        goto done;
    for (Py_ssize_t i = 0; i < count; ++i)
        PyTuple_SET_ITEM(bound->arrays, i, Py_NewRef(in[i]));
/*% for x in inputs if not x.rank %*/
    bound->scalars[${ x.index }] = g_data_of(in[${ x.index }]);
/*% endfor %*/
/*% if workspace %*/
    GBlock block;
    const int64_t bytes = g_workspace_bytes(&bound->call);
    if (!g_allocate(&block, bytes > 0 ? (size_t)bytes : 0))
        goto done;
    bound->workspace = block.memory;
/*% endif %*/
    for (int i = 0; i < G_OUTPUTS; ++i)
        out[i] = Py_NewRef(in[G_INPUTS + i]);
    bound->result = g_result_of(out);
    if (bound->result)
        call = PyCFunction_New(&g_bound_method, capsule);
done:
    Py_DECREF(capsule);
    return call;
}

/* --- the module: functions() makes them, with workspaces of their own ----------------------- */

static PyMethodDef g_call_methods[] = {
    {"call", (PyCFunction)(void (*)(void))g_call_fresh, METH_FASTCALL, NULL},
    {"call_into", (PyCFunction)(void (*)(void))g_call_into, METH_FASTCALL, NULL},
    {"bind", (PyCFunction)(void (*)(void))g_bind, METH_FASTCALL, NULL},
};

static PyObject *g_functions(PyObject *module, PyObject *nothing)
{
    (void)module;
    (void)nothing;
/*% if workspace %*/
    GPool *pool = calloc(1, sizeof *pool);
    if (!pool)
        return PyErr_NoMemory();
    PyObject *self = PyCapsule_New(pool, NULL, g_free_pool);
    if (!self) {
        free(pool);
        return NULL;
    }
/*% else %*/
    PyObject *self = Py_NewRef(Py_None);
/*% endif %*/
    PyObject *made[3];
    for (int i = 0; i < 3; ++i)
        made[i] = PyCFunction_New(&g_call_methods[i], self);
    Py_DECREF(self);
    PyObject *all = NULL;
    if (made[0] && made[1] && made[2])
        all = PyTuple_Pack(3, made[0], made[1], made[2]);
    for (int i = 0; i < 3; ++i)
        Py_XDECREF(made[i]);
    return all;
}

static PyMethodDef g_methods[] = {
    {"functions", g_functions, METH_NOARGS, "(call, call_into, bind) of ${ kernel }."},
    {NULL, NULL, 0, NULL},
};

static int g_execute(PyObject *module)
{
    (void)module;
    import_array1(-1);
    return 0;
}

/* In two phases, so that kernels of one name do not meet in sys.modules. */
static PyModuleDef_Slot g_slots[] = {
    {Py_mod_exec, (void *)g_execute},
    {0, NULL},
};

static struct PyModuleDef g_definition = {
    PyModuleDef_HEAD_INIT, "${ module }", NULL, 0, g_methods, g_slots, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit_${ module }(void)
{
    return PyModuleDef_Init(&g_definition);
}
