/* The hot loops of the Winograd convolution, written once with clang's vector extensions and compiled for several
   instruction sets. Which one runs is chosen by what the CPU and the operating system support, never by a flag of the
   build.

   Two layouts, both of float:
   - A "lane" array holds 16 channels side by side: [..., 16].
   - A "panel" matrix of R rows and N columns holds 32 columns side by side: [ceil(N / 32), R, 32].
   Columns beyond N exist in memory, and whatever they hold stays in columns beyond N. */

#ifndef BELTWATCH_CKERNELS_H
#define BELTWATCH_CKERNELS_H

#include <stdbool.h>
#include <stddef.h>

enum { BELTWATCH_LANES = 16, BELTWATCH_PANEL_COLUMNS = 32, BELTWATCH_POINTS = 8 };

/* Ordered: each includes what stands before it. */
enum beltwatch_instruction_set {
    BELTWATCH_BASELINE = 0, /* SSE2 on x86-64, NEON on ARM64 */
    BELTWATCH_AVX2 = 1,     /* with FMA */
    BELTWATCH_AVX512 = 2,   /* F, BW, DQ, VL */
};

/* Many small equal squares of lanes: where the first one is, and how far it is to the next.
   All distances count floats. */
struct beltwatch_squares {
    ptrdiff_t row_step;
    ptrdiff_t column_step;
    ptrdiff_t square_step;
};

/* 8×8 squares of lanes whose 64 values lie far from each other: point (r, s) is 8·r + s slice steps away. */
struct beltwatch_point_slices {
    ptrdiff_t slice_step;
    ptrdiff_t square_step;
};

/* A panel matrix whose panels need not follow each other, counted in floats. */
struct beltwatch_panels {
    const float *base;
    ptrdiff_t panel_step;
};

struct beltwatch_mutable_panels {
    float *base;
    ptrdiff_t panel_step;
};

/* What the caller multiplies next and the product may bring nearer meanwhile: `a_count` floats of a, and where b
   starts. Any address will do where there is no next one. */
struct beltwatch_ahead {
    const float *a;
    ptrdiff_t a_count;
    const float *b;
};

struct beltwatch_vector_kernels {
    const char *name;

    /* lanes[x, l] = rows[l·row_step + x] for l < row_count, 0 for the lanes beyond, x < columns. */
    void (*gather_lanes)(
        const float *rows, ptrdiff_t row_step, ptrdiff_t row_count, ptrdiff_t columns, float *lanes);

    /* rows[l·row_step + x] = lanes[x, l], or += lanes[x, l]. */
    void (*scatter_lanes)(
        const float *lanes, ptrdiff_t row_count, ptrdiff_t columns, bool accumulate, float *rows, ptrdiff_t row_step);

    /* points = E · square · Eᵀ, where E is the 8 × side matrix `evaluation`, row step 8. Rows 1 and 2, 3 and 4, 5 and 6
       of E differ only in the sign of their odd columns; row 0 has even columns only, and row 7 only those that are
       even or odd like side − 1. side is 3, 4, 5, 6 or 8. */
    void (*evaluate_squares)(
        const float *squares, struct beltwatch_squares from, ptrdiff_t count, int side, const float *evaluation,
        float *points, struct beltwatch_point_slices to);

    /* The same of 8×8 squares, for points that nobody reads soon: past the caches where the CPU can. `points` starts on
       a cache line, and the steps are whole ones. */
    void (*stream_squares)(
        const float *squares, struct beltwatch_squares from, ptrdiff_t count, const float *evaluation, float *points,
        struct beltwatch_point_slices to);

    /* square = max(Eᵀ · points · E + bias, floor), the transpose of the above; bias are 16 lanes. A NaN stays one. */
    void (*combine_points)(
        const float *points, struct beltwatch_point_slices from, ptrdiff_t count, int side, const float *evaluation,
        const float *bias, float floor, float *squares, struct beltwatch_squares to);

    /* The same for points that are products of three channels, multiplied on the way: kernels are 64 slices of three
       rows of 32 columns, values are [count][64][4]. side is 5 or 6. */
    void (*combine_thin)(
        const float *kernels, ptrdiff_t slice_step, const float *values, ptrdiff_t count, int side,
        const float *evaluation, const float *bias, float floor, float *squares, struct beltwatch_squares to);

    /* sums += (scale · (Eᵀ · points · E) + bias)², lane by lane; scale and bias are 16 lanes. */
    void (*add_squares)(
        const float *points, struct beltwatch_point_slices from, ptrdiff_t count, int side, const float *evaluation,
        const float *scale, const float *bias, float *sums, struct beltwatch_squares to);

    /* to[x, l] = max(from[x, l] + bias[l], floor) for x < count, in lanes. A NaN stays one. */
    void (*store_lanes)(
        const float *from, ptrdiff_t from_step, ptrdiff_t count, const float *bias, float floor, float *to,
        ptrdiff_t to_step);

    /* sums[x, l] += (scale[l] · from[x, l] + bias[l] + addend[x, l])², x < count, in lanes; addend may be NULL. */
    void (*add_square_lanes)(
        const float *from, ptrdiff_t from_step, ptrdiff_t count, const float *scale, const float *bias,
        const float *addend, ptrdiff_t addend_step, float *sums);

    /* to[x, l] = the mean of upper and lower at 2·x and 2·x + 1, in lanes, x < count. */
    void (*average_pairs)(
        const float *upper, const float *lower, ptrdiff_t from_step, ptrdiff_t count, float *to, ptrdiff_t to_step);

    /* to[i] = (1 − weight) · first[i] + weight · second[i]; count is a multiple of 16. */
    void (*interpolate)(const float *first, const float *second, float weight, ptrdiff_t count, float *to);

    /* Σ a[i] · b[i], in double. */
    double (*dot)(const float *a, const double *b, ptrdiff_t count);

    /* sums[l] += from[x, l] − centre[l] and squares[l] += (from[x, l] − centre[l])², x < count, in lanes and in double. */
    void (*add_moments)(
        const float *from, ptrdiff_t from_step, ptrdiff_t count, const float *centre, double *sums, double *squares);

    /* values[x, l] = max((values[x, l] − mean[l]) · scale[l], 0), x < count, in lanes and in double. A NaN stays one. */
    void (*normalise_lanes)(
        float *values, ptrdiff_t step, ptrdiff_t count, const double *mean, const double *scale);

    /* sums[places[j] + l] += softmax over j of (logits[j·step + l] + bias[j]) for j < count in the lanes l < visible, whose
       logits are overwritten. */
    void (*add_softmax)(
        float *logits, ptrdiff_t step, ptrdiff_t count, const float *bias, ptrdiff_t visible, float *sums,
        const ptrdiff_t *places);

    /* to[c·to_step + l] = Σ filters[(i·columns + j)·filter_step + l] · pixels[i·row_step + c·channel_step + j + l] over
       i < rows, j < columns, in lanes, for c < channels. */
    void (*filter_lanes)(
        const float *filters, ptrdiff_t filter_step, const float *pixels, ptrdiff_t row_step, ptrdiff_t channel_step,
        ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t channels, float *to, ptrdiff_t to_step);

    /* c = a · b, or += : a is rows × inner, b inner × columns, c rows × columns; whole panels of c are written. */
    void (*multiply)(
        struct beltwatch_panels a, struct beltwatch_panels b, struct beltwatch_mutable_panels c, ptrdiff_t rows,
        ptrdiff_t inner, ptrdiff_t columns, bool accumulate, struct beltwatch_ahead ahead);

    /* c = aᵀ · b, or += : a is inner × rows, b inner × columns, c rows × columns. */
    void (*multiply_transposed)(
        const float *a, const float *b, float *c, ptrdiff_t rows, ptrdiff_t inner, ptrdiff_t columns,
        bool accumulate, struct beltwatch_ahead ahead);
};

/* The best instruction set that this CPU and its operating system can run. */
enum beltwatch_instruction_set beltwatch_best_instruction_set(void);

/* NULL where this build has no kernels for the instruction set; ask for none beyond the best. */
const struct beltwatch_vector_kernels *beltwatch_vector_kernels_for(enum beltwatch_instruction_set set);

/* Lets results too small for a normal number become zero on this thread: each would take a hundred cycles or more.
   Returns what to restore. */
unsigned long beltwatch_flush_denormals(void);
void beltwatch_restore_denormals(unsigned long state);

/* Tells the CPU that this thread is looking out for a change in memory and has nothing better to do. */
static inline void beltwatch_relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* How many processors this process may use; at least 1. */
int beltwatch_processors(void);

/* The processor that this thread runs on; below 0 where that is not known. */
int beltwatch_current_processor(void);

/* Moves this thread to another processor if it runs on this one; it may come back later. */
void beltwatch_leave_processor(int processor);

/* For those who look at the process with top or gdb; at most fifteen characters. */
void beltwatch_name_this_thread(const char *name);

/* Lets malloc keep freed memory for the next call instead of giving it back to the system; glibc only. */
void beltwatch_keep_freed_memory(void);

#endif
