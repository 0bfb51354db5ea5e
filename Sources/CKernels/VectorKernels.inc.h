/* The kernels for one instruction set; CKernels.c defines LANES (floats in a register), NAME, TARGET and BLOCK_ROWS
   and includes this file once for each. Every function carries TARGET: inlined into another one without it, it would
   be compiled for the baseline. */

#define INLINE static inline __attribute__((always_inline)) TARGET

typedef float NAME(vector) __attribute__((vector_size(4 * LANES)));
typedef float NAME(loose_vector) __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int NAME(mask) __attribute__((vector_size(4 * LANES)));
typedef float NAME(quad) __attribute__((vector_size(16), aligned(4), may_alias));

/* As many doubles as fit in a register, and as many floats. */
enum { NAME(doubles_count) = LANES / 2 };
typedef double NAME(doubles) __attribute__((vector_size(4 * LANES)));
typedef double NAME(loose_doubles) __attribute__((vector_size(4 * LANES), aligned(8), may_alias));
typedef float NAME(loose_half) __attribute__((vector_size(2 * LANES), aligned(4), may_alias));

#define VECTOR NAME(vector)
#define QUAD NAME(quad)
#define DOUBLES NAME(doubles)
#define HALF NAME(doubles_count)
#define PANEL BELTWATCH_PANEL_COLUMNS
#define LINE 16

INLINE VECTOR NAME(load)(const float *p) { return *(const NAME(loose_vector) *)p; }
INLINE void NAME(store)(float *p, VECTOR v) { *(NAME(loose_vector) *)p = v; }

INLINE DOUBLES NAME(load_widened)(const float *p) {
    return __builtin_convertvector(*(const NAME(loose_half) *)p, DOUBLES);
}
INLINE void NAME(store_narrowed)(float *p, DOUBLES v) {
    *(NAME(loose_half) *)p = __builtin_convertvector(v, NAME(loose_half));
}
INLINE DOUBLES NAME(load_doubles)(const double *p) { return *(const NAME(loose_doubles) *)p; }
INLINE void NAME(store_doubles)(double *p, DOUBLES v) { *(NAME(loose_doubles) *)p = v; }

/* Past the caches, where a vector is a whole cache line; p is aligned to it. */
INLINE void NAME(stream)(float *p, VECTOR v) {
    if (LANES == LINE) __builtin_nontemporal_store(v, (VECTOR *)p);
    else NAME(store)(p, v);
}

/* The larger of both; a value that is no number stays one, which the maximum of the CPU would not promise. */
INLINE VECTOR NAME(at_least)(VECTOR value, VECTOR least) {
    const NAME(mask) below = value < least;
    return (VECTOR)(((NAME(mask))least & below) | ((NAME(mask))value & ~below));
}

/* Transposes 4×4 values. */
INLINE void NAME(transpose4)(const float *from, ptrdiff_t from_step, QUAD rows[4]) {
    const QUAD a = *(const QUAD *)from, b = *(const QUAD *)(from + from_step);
    const QUAD c = *(const QUAD *)(from + 2 * from_step), d = *(const QUAD *)(from + 3 * from_step);
    const QUAD ab01 = __builtin_shufflevector(a, b, 0, 4, 1, 5), ab23 = __builtin_shufflevector(a, b, 2, 6, 3, 7);
    const QUAD cd01 = __builtin_shufflevector(c, d, 0, 4, 1, 5), cd23 = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    rows[0] = __builtin_shufflevector(ab01, cd01, 0, 1, 4, 5);
    rows[1] = __builtin_shufflevector(ab01, cd01, 2, 3, 6, 7);
    rows[2] = __builtin_shufflevector(ab23, cd23, 0, 1, 4, 5);
    rows[3] = __builtin_shufflevector(ab23, cd23, 2, 3, 6, 7);
}

TARGET static void NAME(gather_lanes)(
    const float *rows, ptrdiff_t row_step, ptrdiff_t row_count, ptrdiff_t columns, float *lanes) {
    const ptrdiff_t whole_rows = row_count & ~3, whole_columns = columns & ~3;
    for (ptrdiff_t x = 0; x < whole_columns; x += 4) {
        for (ptrdiff_t l = 0; l < whole_rows; l += 4) {
            QUAD t[4];
            NAME(transpose4)(rows + l * row_step + x, row_step, t);
            for (int i = 0; i < 4; i++) *(QUAD *)(lanes + (x + i) * BELTWATCH_LANES + l) = t[i];
        }
    }
    for (ptrdiff_t x = 0; x < columns; x++) {
        const ptrdiff_t done = x < whole_columns ? whole_rows : 0;
        for (ptrdiff_t l = done; l < row_count; l++) lanes[x * BELTWATCH_LANES + l] = rows[l * row_step + x];
        for (ptrdiff_t l = row_count; l < BELTWATCH_LANES; l++) lanes[x * BELTWATCH_LANES + l] = 0;
    }
}

TARGET static void NAME(scatter_lanes)(
    const float *lanes, ptrdiff_t row_count, ptrdiff_t columns, bool accumulate, float *rows, ptrdiff_t row_step) {
    const ptrdiff_t whole_rows = row_count & ~3, whole_columns = columns & ~3;
    for (ptrdiff_t l = 0; l < whole_rows; l += 4) {
        for (ptrdiff_t x = 0; x < whole_columns; x += 4) {
            QUAD t[4];
            NAME(transpose4)(lanes + x * BELTWATCH_LANES + l, BELTWATCH_LANES, t);
            for (int i = 0; i < 4; i++) {
                QUAD *target = (QUAD *)(rows + (l + i) * row_step + x);
                *target = accumulate ? *target + t[i] : t[i];
            }
        }
    }
    for (ptrdiff_t l = 0; l < row_count; l++) {
        for (ptrdiff_t x = l < whole_rows ? whole_columns : 0; x < columns; x++) {
            float *target = rows + l * row_step + x;
            const float value = lanes[x * BELTWATCH_LANES + l];
            *target = accumulate ? *target + value : value;
        }
    }
}

/* y = E · x for one line of vectors: a pair of opposite points shares its even and its odd half, so that the eight
   points cost little more than four. */
INLINE void NAME(evaluate)(const int side, const VECTOR *x, const float *evaluation, VECTOR y[8]) {
    const float *last = evaluation + 7 * 8;
    VECTOR zero = x[0] * evaluation[0], infinity = x[side - 1] * last[side - 1];
#pragma clang loop unroll(full)
    for (int i = 2; i < side; i += 2) zero += x[i] * evaluation[i];
#pragma clang loop unroll(full)
    for (int i = (side - 1) % 2; i < side - 1; i += 2) infinity += x[i] * last[i];
    y[0] = zero;
    y[7] = infinity;
#pragma clang loop unroll(full)
    for (int point = 1; point < 7; point += 2) {
        const float *row = evaluation + 8 * point;
        VECTOR even = x[0] * row[0], odd = x[1] * row[1];
#pragma clang loop unroll(full)
        for (int i = 2; i < side; i += 2) even += x[i] * row[i];
#pragma clang loop unroll(full)
        for (int i = 3; i < side; i += 2) odd += x[i] * row[i];
        y[point] = even + odd;
        y[point + 1] = even - odd;
    }
}

/* y = Eᵀ · x for one line of vectors. */
INLINE void NAME(combine)(const int side, const VECTOR x[8], const float *evaluation, VECTOR *y) {
    const VECTOR sum[3] = {x[1] + x[2], x[3] + x[4], x[5] + x[6]};
    const VECTOR difference[3] = {x[1] - x[2], x[3] - x[4], x[5] - x[6]};
#pragma clang loop unroll(full)
    for (int i = 0; i < side; i++) {
        const VECTOR *half = i % 2 == 0 ? sum : difference;
        VECTOR value = half[0] * evaluation[8 * 1 + i];
        value += half[1] * evaluation[8 * 3 + i];
        value += half[2] * evaluation[8 * 5 + i];
        if (i % 2 == 0) value += x[0] * evaluation[i];
        if (i % 2 == (side - 1) % 2) value += x[7] * evaluation[8 * 7 + i];
        y[i] = value;
    }
}

INLINE void NAME(evaluate_sides)(
    const int side, const bool streams, const float *squares, struct beltwatch_squares from, ptrdiff_t count, const float *evaluation,
    float *points, struct beltwatch_point_slices to) {
    for (ptrdiff_t square = 0; square < count; square++) {
        for (int lane = 0; lane < BELTWATCH_LANES; lane += LANES) {
            const float *source = squares + square * from.square_step + lane;
            float *target = points + square * to.square_step + lane;
            VECTOR half_way[8][8];
            for (int j = 0; j < side; j++) {
                VECTOR column[8], y[8];
#pragma clang loop unroll(full)
                for (int i = 0; i < side; i++)
                    column[i] = NAME(load)(source + i * from.row_step + j * from.column_step);
                NAME(evaluate)(side, column, evaluation, y);
#pragma clang loop unroll(full)
                for (int r = 0; r < 8; r++) half_way[r][j] = y[r];
            }
            for (int r = 0; r < 8; r++) {
                VECTOR y[8];
                NAME(evaluate)(side, half_way[r], evaluation, y);
#pragma clang loop unroll(full)
                for (int s = 0; s < 8; s++) {
                    if (streams) NAME(stream)(target + (8 * r + s) * to.slice_step, y[s]);
                    else NAME(store)(target + (8 * r + s) * to.slice_step, y[s]);
                }
            }
        }
    }
}

TARGET static void NAME(evaluate_squares)(
    const float *squares, struct beltwatch_squares from, ptrdiff_t count, int side, const float *evaluation,
    float *points, struct beltwatch_point_slices to) {
    switch (side) {
#define CASE(n) \
    case n: NAME(evaluate_sides)(n, false, squares, from, count, evaluation, points, to); return;
        CASE(3) CASE(4) CASE(5) CASE(6) CASE(8)
#undef CASE
    }
}

TARGET static void NAME(stream_squares)(
    const float *squares, struct beltwatch_squares from, ptrdiff_t count, const float *evaluation, float *points,
    struct beltwatch_point_slices to) {
    NAME(evaluate_sides)(8, true, squares, from, count, evaluation, points, to);
#if defined(__x86_64__)
    __builtin_ia32_sfence();
#endif
}

/* Eᵀ · points · E for one square of lanes.

   points are sums of products, or with `thin` the kernels' values of three channels, which are multiplied here with the
   square's: `thin` is [64][4], the fourth unused. */
INLINE void NAME(combine_square)(
    const int side, const float *points, ptrdiff_t slice_step, ptrdiff_t square_step, const float *thin,
    const float *evaluation, VECTOR result[8][8]) {
    VECTOR half_way[8][8];
    for (int s = 0; s < 8; s++) {
        VECTOR column[8], y[8];
#pragma clang loop unroll(full)
        for (int r = 0; r < 8; r++) {
            const float *point = points + (8 * r + s) * slice_step;
            column[r] = NAME(load)(point);
            if (thin) {
                const float *values = thin + (8 * r + s) * 4;
                column[r] *= values[0];
                column[r] += NAME(load)(point + PANEL) * values[1];
                column[r] += NAME(load)(point + 2 * PANEL) * values[2];
            } else {
                /* 64 places in step are more than a CPU follows by itself. */
                __builtin_prefetch(point + 2 * square_step, 0, 2);
            }
        }
        NAME(combine)(side, column, evaluation, y);
#pragma clang loop unroll(full)
        for (int i = 0; i < side; i++) half_way[i][s] = y[i];
    }
    for (int i = 0; i < side; i++) NAME(combine)(side, half_way[i], evaluation, result[i]);
}

INLINE void NAME(combine_sides)(
    const int side, const float *points, struct beltwatch_point_slices from, const float *thin, ptrdiff_t count,
    const float *evaluation, const float *bias, float floor, float *squares, struct beltwatch_squares to) {
    const VECTOR least = floor - (VECTOR){};
    for (ptrdiff_t square = 0; square < count; square++) {
        for (int lane = 0; lane < BELTWATCH_LANES; lane += LANES) {
            float *target = squares + square * to.square_step + lane;
            const VECTOR shift = NAME(load)(bias + lane);
            VECTOR y[8][8];
            NAME(combine_square)(side, points + square * from.square_step + lane, from.slice_step, from.square_step,
                thin ? thin + square * 4 * 64 : NULL, evaluation, y);
            for (int i = 0; i < side; i++) {
#pragma clang loop unroll(full)
                for (int j = 0; j < side; j++)
                    NAME(store)(
                        target + i * to.row_step + j * to.column_step, NAME(at_least)(y[i][j] + shift, least));
            }
        }
    }
}

INLINE void NAME(add_square_sides)(
    const int side, const float *points, struct beltwatch_point_slices from, ptrdiff_t count, const float *evaluation,
    const float *scale, const float *bias, float *sums, struct beltwatch_squares to) {
    for (ptrdiff_t square = 0; square < count; square++) {
        for (int lane = 0; lane < BELTWATCH_LANES; lane += LANES) {
            float *target = sums + square * to.square_step + lane;
            const VECTOR factor = NAME(load)(scale + lane), shift = NAME(load)(bias + lane);
            VECTOR y[8][8];
            NAME(combine_square)(side, points + square * from.square_step + lane, from.slice_step, from.square_step,
                NULL, evaluation, y);
            for (int i = 0; i < side; i++) {
#pragma clang loop unroll(full)
                for (int j = 0; j < side; j++) {
                    float *sum = target + i * to.row_step + j * to.column_step;
                    const VECTOR value = y[i][j] * factor + shift;
                    NAME(store)(sum, NAME(load)(sum) + value * value);
                }
            }
        }
    }
}

TARGET static void NAME(combine_points)(
    const float *points, struct beltwatch_point_slices from, ptrdiff_t count, int side, const float *evaluation,
    const float *bias, float floor, float *squares, struct beltwatch_squares to) {
    switch (side) {
#define CASE(n) \
    case n: NAME(combine_sides)(n, points, from, NULL, count, evaluation, bias, floor, squares, to); return;
        CASE(3) CASE(4) CASE(5) CASE(6) CASE(8)
#undef CASE
    }
}

TARGET static void NAME(combine_thin)(
    const float *kernels, ptrdiff_t slice_step, const float *values, ptrdiff_t count, int side,
    const float *evaluation, const float *bias, float floor, float *squares, struct beltwatch_squares to) {
    const struct beltwatch_point_slices from = {slice_step, 0};
    switch (side) {
#define CASE(n) \
    case n: NAME(combine_sides)(n, kernels, from, values, count, evaluation, bias, floor, squares, to); return;
        CASE(5) CASE(6)
#undef CASE
    }
}

TARGET static void NAME(add_squares)(
    const float *points, struct beltwatch_point_slices from, ptrdiff_t count, int side, const float *evaluation,
    const float *scale, const float *bias, float *sums, struct beltwatch_squares to) {
    switch (side) {
#define CASE(n) \
    case n: NAME(add_square_sides)(n, points, from, count, evaluation, scale, bias, sums, to); return;
        CASE(5) CASE(6)
#undef CASE
    }
}

/* A register block of the product: `rows` rows of c, two vectors wide, over one run of inner values. a is read panel
   by panel, b is one panel. Meanwhile `ahead` is fetched, a cache line per inner value. */
INLINE void NAME(multiply_block)(
    const int rows, const float *a, ptrdiff_t a_row_step, ptrdiff_t a_inner_step, ptrdiff_t a_panel_step,
    ptrdiff_t inner, const float *b, float *c, bool accumulate, const float *ahead) {
    VECTOR sums[BLOCK_ROWS][2];
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++) sums[r][0] = sums[r][1] = (VECTOR){};
    for (ptrdiff_t first = 0; first < inner; first += PANEL, a += a_panel_step, b += PANEL * PANEL) {
        const ptrdiff_t count = inner - first < PANEL ? inner - first : PANEL;
        for (ptrdiff_t k = 0; k < count; k++) {
            const float *row = b + k * PANEL, *column = a + k * a_inner_step;
            const VECTOR left = NAME(load)(row), right = NAME(load)(row + LANES);
            __builtin_prefetch(ahead, 0, 2);
            ahead += LINE;
#pragma clang loop unroll(full)
            for (int r = 0; r < rows; r++) {
                const float value = column[r * a_row_step];
                sums[r][0] += value * left;
                sums[r][1] += value * right;
            }
        }
    }
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++) {
        float *target = c + r * PANEL;
        if (accumulate) {
            sums[r][0] += NAME(load)(target);
            sums[r][1] += NAME(load)(target + LANES);
        }
        NAME(store)(target, sums[r][0]);
        NAME(store)(target + LANES, sums[r][1]);
    }
}

/* Calls BLOCK with a constant number of rows, for which the compiler keeps the sums in registers. */
#if BLOCK_ROWS == 14
#define EACH_ROW_COUNT(BLOCK) \
    BLOCK(1) BLOCK(2) BLOCK(3) BLOCK(4) BLOCK(5) BLOCK(6) BLOCK(7) \
    BLOCK(8) BLOCK(9) BLOCK(10) BLOCK(11) BLOCK(12) BLOCK(13) BLOCK(14)
#elif BLOCK_ROWS == 6
#define EACH_ROW_COUNT(BLOCK) BLOCK(1) BLOCK(2) BLOCK(3) BLOCK(4) BLOCK(5) BLOCK(6)
#else
#define EACH_ROW_COUNT(BLOCK) BLOCK(1) BLOCK(2) BLOCK(3) BLOCK(4)
#endif

/* What a block fetches while it computes: the first two the next run of b, as many lines as they have inner values each,
   the others as much of the next a as they can. A block with nothing to fetch names what is there already. */
INLINE const float *NAME(fetched_ahead)(
    ptrdiff_t block, ptrdiff_t inner, const float *next_run, struct beltwatch_ahead *ahead) {
    if (block < 2) return next_run + block * inner * LINE;
    if (ahead->a_count <= 0) return next_run;
    const float *result = ahead->a;
    ahead->a += inner * LINE;
    ahead->a_count -= inner * LINE;
    return result;
}

/* `rows` rows of c, two vectors wide, over one run of inner values. The register blocks are of nearly equal size: a
   last one of a single row would run at a fraction of the speed. */
INLINE void NAME(multiply_rows)(
    ptrdiff_t rows, const float *a, ptrdiff_t a_row_step, ptrdiff_t a_inner_step, ptrdiff_t a_panel_step,
    ptrdiff_t inner, const float *b, float *c, bool accumulate, const float *next_run,
    struct beltwatch_ahead *ahead) {
    const ptrdiff_t blocks = (rows + BLOCK_ROWS - 1) / BLOCK_ROWS;
    for (ptrdiff_t block = 0; block < blocks; block++) {
        const ptrdiff_t row = block * rows / blocks, end = (block + 1) * rows / blocks;
        switch (end - row) {
#define BLOCK(n) \
    case n: \
        NAME(multiply_block)( \
            n, a + row * a_row_step, a_row_step, a_inner_step, a_panel_step, inner, b, c + row * PANEL, \
            accumulate, NAME(fetched_ahead)(block, inner, next_run, ahead)); \
        break;
            EACH_ROW_COUNT(BLOCK)
#undef BLOCK
        }
    }
}

/* How many inner values are summed up in registers before they are added to c. Longer chains of additions round worse:
   over 256 channels 2.1e-6 relative rms with 32, 3.2e-6 with 128, 4.3e-6 with all; shorter ones write c more often. */
#define CHAIN (4 * PANEL)

TARGET static void NAME(multiply)(
    struct beltwatch_panels a, struct beltwatch_panels b, struct beltwatch_mutable_panels c, ptrdiff_t rows,
    ptrdiff_t inner, ptrdiff_t columns, bool accumulate, struct beltwatch_ahead ahead) {
    /* Whole panels with every width of vector: zeros beyond the columns of b make zeros beyond those of c. */
    for (ptrdiff_t column = 0; column < (columns + PANEL - 1) / PANEL * PANEL; column += 2 * LANES) {
        const ptrdiff_t panel = column / PANEL, inside = column % PANEL;
        for (ptrdiff_t k = 0; k < inner; k += CHAIN) {
            const float *run = b.base + panel * b.panel_step + k * PANEL;
            const float *next_run = k + CHAIN < inner ? run + CHAIN * PANEL
                : (panel + 1) * PANEL < columns ? b.base + (panel + 1) * b.panel_step : ahead.b;
            NAME(multiply_rows)(
                rows, a.base + k / PANEL * a.panel_step, PANEL, 1, a.panel_step, inner - k < CHAIN ? inner - k : CHAIN,
                run + inside, c.base + panel * c.panel_step + inside, accumulate || k > 0, next_run,
                &ahead);
        }
    }
}

TARGET static void NAME(multiply_transposed)(
    const float *a, const float *b, float *c, ptrdiff_t rows, ptrdiff_t inner, ptrdiff_t columns, bool accumulate,
    struct beltwatch_ahead ahead) {
    for (ptrdiff_t column = 0; column < columns; column += 2 * LANES) {
        const ptrdiff_t panel = column / PANEL * PANEL, inside = column % PANEL;
        for (ptrdiff_t k = 0; k < inner; k += CHAIN) {
            const float *run = b + panel * inner + k * PANEL;
            const float *next_run = k + CHAIN < inner ? run + CHAIN * PANEL
                : panel + PANEL < columns ? b + (panel + PANEL) * inner : ahead.b;
            /* Panel by panel of a: only there are its columns, the rows of the product, neighbours. */
            for (ptrdiff_t row = 0; row < rows; row += PANEL) {
                NAME(multiply_rows)(
                    rows - row < PANEL ? rows - row : PANEL, a + row * inner + k * PANEL, 1, PANEL, PANEL * PANEL,
                    inner - k < CHAIN ? inner - k : CHAIN, run + inside, c + panel * rows + row * PANEL + inside,
                    accumulate || k > 0, next_run, &ahead);
            }
        }
    }
}

TARGET static void NAME(store_lanes)(
    const float *from, ptrdiff_t from_step, ptrdiff_t count, const float *bias, float floor, float *to,
    ptrdiff_t to_step) {
    const VECTOR least = floor - (VECTOR){};
    for (int lane = 0; lane < BELTWATCH_LANES; lane += LANES) {
        const VECTOR shift = NAME(load)(bias + lane);
        for (ptrdiff_t x = 0; x < count; x++) {
            const VECTOR value = NAME(load)(from + x * from_step + lane) + shift;
            NAME(store)(to + x * to_step + lane, NAME(at_least)(value, least));
        }
    }
}

TARGET static void NAME(add_square_lanes)(
    const float *from, ptrdiff_t from_step, ptrdiff_t count, const float *scale, const float *bias,
    const float *addend, ptrdiff_t addend_step, float *sums) {
    for (int lane = 0; lane < BELTWATCH_LANES; lane += LANES) {
        const VECTOR factor = NAME(load)(scale + lane), shift = NAME(load)(bias + lane);
        for (ptrdiff_t x = 0; x < count; x++) {
            VECTOR value = NAME(load)(from + x * from_step + lane) * factor + shift;
            if (addend) value += NAME(load)(addend + x * addend_step + lane);
            float *sum = sums + x * BELTWATCH_LANES + lane;
            NAME(store)(sum, NAME(load)(sum) + value * value);
        }
    }
}

TARGET static void NAME(average_pairs)(
    const float *upper, const float *lower, ptrdiff_t from_step, ptrdiff_t count, float *to, ptrdiff_t to_step) {
    for (int lane = 0; lane < BELTWATCH_LANES; lane += LANES) {
        for (ptrdiff_t x = 0; x < count; x++) {
            const float *a = upper + 2 * x * from_step + lane, *b = lower + 2 * x * from_step + lane;
            const VECTOR sum = (NAME(load)(a) + NAME(load)(a + from_step)) + (NAME(load)(b) + NAME(load)(b + from_step));
            NAME(store)(to + x * to_step + lane, sum * 0.25f);
        }
    }
}

TARGET static void NAME(interpolate)(
    const float *first, const float *second, float weight, ptrdiff_t count, float *to) {
    for (ptrdiff_t i = 0; i < count; i += LANES)
        NAME(store)(to + i, NAME(load)(first + i) * (1 - weight) + NAME(load)(second + i) * weight);
}

TARGET static double NAME(dot)(const float *a, const double *b, ptrdiff_t count) {
    DOUBLES sums[4] = {};
    const ptrdiff_t whole = count - count % (4 * HALF);
    for (ptrdiff_t i = 0; i < whole; i += 4 * HALF) {
#pragma clang loop unroll(full)
        for (int n = 0; n < 4; n++)
            sums[n] += NAME(load_widened)(a + i + n * HALF) * NAME(load_doubles)(b + i + n * HALF);
    }
    const DOUBLES sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    double result = 0;
    for (int n = 0; n < HALF; n++) result += sum[n];
    for (ptrdiff_t i = whole; i < count; i++) result += (double)a[i] * b[i];
    return result;
}

TARGET static void NAME(add_moments)(
    const float *from, ptrdiff_t from_step, ptrdiff_t count, const float *centre, double *sums, double *squares) {
    for (int lane = 0; lane < BELTWATCH_LANES; lane += HALF) {
        const DOUBLES shift = NAME(load_widened)(centre + lane);
        DOUBLES sum = NAME(load_doubles)(sums + lane), square = NAME(load_doubles)(squares + lane);
        for (ptrdiff_t x = 0; x < count; x++) {
            const DOUBLES value = NAME(load_widened)(from + x * from_step + lane) - shift;
            sum += value;
            square += value * value;
        }
        NAME(store_doubles)(sums + lane, sum);
        NAME(store_doubles)(squares + lane, square);
    }
}

TARGET static void NAME(normalise_lanes)(
    float *values, ptrdiff_t step, ptrdiff_t count, const double *mean, const double *scale) {
    for (int lane = 0; lane < BELTWATCH_LANES; lane += LANES) {
        const DOUBLES means[2] = {NAME(load_doubles)(mean + lane), NAME(load_doubles)(mean + lane + HALF)};
        const DOUBLES scales[2] = {NAME(load_doubles)(scale + lane), NAME(load_doubles)(scale + lane + HALF)};
        for (ptrdiff_t x = 0; x < count; x++) {
            float *value = values + x * step + lane;
            for (int n = 0; n < 2; n++)
                NAME(store_narrowed)(
                    value + n * HALF, (NAME(load_widened)(value + n * HALF) - means[n]) * scales[n]);
            NAME(store)(value, NAME(at_least)(NAME(load)(value), (VECTOR){}));
        }
    }
}

/* eˣ of numbers that are not positive: `FloatLanes.exponential` says how. */
INLINE VECTOR NAME(exponential)(VECTOR x) {
    static const float factors[] = {1.0f / 5040, 1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1, 1};
    const VECTOR whole = 0x1.8p23f - (VECTOR){};
    x = NAME(at_least)(x, -87 - (VECTOR){});
    const VECTOR shifted = x * 1.44269504f + whole, n = shifted - whole;
    const VECTOR r = (x - n * 0.693359375f) + n * 2.1219444e-4f;
    VECTOR power = factors[0] - (VECTOR){};
#pragma clang loop unroll(full)
    for (int i = 1; i < 8; i++) power = power * r + factors[i];
    return power * (VECTOR)(((NAME(mask))shifted << 23) + (127 << 23));
}

TARGET static void NAME(add_softmax)(
    float *logits, ptrdiff_t step, ptrdiff_t count, const float *bias, ptrdiff_t visible, float *sums,
    const ptrdiff_t *places) {
    for (int lane = 0; lane < BELTWATCH_LANES && lane < visible; lane += LANES) {
        VECTOR largest = NAME(load)(logits + lane) + bias[0], sum = {};
        for (ptrdiff_t j = 1; j < count; j++)
            largest = NAME(at_least)(NAME(load)(logits + j * step + lane) + bias[j], largest);
        for (ptrdiff_t j = 0; j < count; j++) {
            float *logit = logits + j * step + lane;
            const VECTOR power = NAME(exponential)(NAME(load)(logit) + bias[j] - largest);
            NAME(store)(logit, power);
            sum += power;
        }
        const VECTOR share = 1 / sum;
        NAME(mask) inside = {};
        for (ptrdiff_t l = 0; l < LANES && l < visible - lane; l++) inside[l] = -1;
        for (ptrdiff_t j = 0; j < count; j++) {
            float *target = sums + places[j] + lane;
            const VECTOR weight = NAME(load)(logits + j * step + lane) * share;
            NAME(store)(target, NAME(load)(target) + (VECTOR)((NAME(mask))weight & inside));
        }
    }
}

/* Several channels at once, which share the filter's values. */
INLINE void NAME(filter_channels)(
    const int channels, const float *filters, ptrdiff_t filter_step, const float *pixels, ptrdiff_t row_step,
    ptrdiff_t channel_step, ptrdiff_t rows, ptrdiff_t columns, float *to, ptrdiff_t to_step) {
    VECTOR sums[8];
#pragma clang loop unroll(full)
    for (int c = 0; c < channels; c++) sums[c] = (VECTOR){};
    for (ptrdiff_t i = 0; i < rows; i++) {
        for (ptrdiff_t j = 0; j < columns; j++) {
            const VECTOR factor = NAME(load)(filters + (i * columns + j) * filter_step);
            const float *pixel = pixels + i * row_step + j;
#pragma clang loop unroll(full)
            for (int c = 0; c < channels; c++) sums[c] += factor * NAME(load)(pixel + c * channel_step);
        }
    }
#pragma clang loop unroll(full)
    for (int c = 0; c < channels; c++) NAME(store)(to + c * to_step, sums[c]);
}

TARGET static void NAME(filter_lanes)(
    const float *filters, ptrdiff_t filter_step, const float *pixels, ptrdiff_t row_step, ptrdiff_t channel_step,
    ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t channels, float *to, ptrdiff_t to_step) {
    for (int lane = 0; lane < BELTWATCH_LANES; lane += LANES) {
        ptrdiff_t c = 0;
        for (; c + 8 <= channels; c += 8)
            NAME(filter_channels)(8, filters + lane, filter_step, pixels + c * channel_step + lane, row_step,
                channel_step, rows, columns, to + c * to_step + lane, to_step);
        for (; c < channels; c++)
            NAME(filter_channels)(1, filters + lane, filter_step, pixels + c * channel_step + lane, row_step,
                channel_step, rows, columns, to + c * to_step + lane, to_step);
    }
}

static const struct beltwatch_vector_kernels NAME(kernels) = {
    .name = INSTRUCTION_SET_NAME,
    .gather_lanes = NAME(gather_lanes),
    .scatter_lanes = NAME(scatter_lanes),
    .evaluate_squares = NAME(evaluate_squares),
    .stream_squares = NAME(stream_squares),
    .combine_points = NAME(combine_points),
    .combine_thin = NAME(combine_thin),
    .add_squares = NAME(add_squares),
    .store_lanes = NAME(store_lanes),
    .add_square_lanes = NAME(add_square_lanes),
    .average_pairs = NAME(average_pairs),
    .interpolate = NAME(interpolate),
    .dot = NAME(dot),
    .add_moments = NAME(add_moments),
    .normalise_lanes = NAME(normalise_lanes),
    .add_softmax = NAME(add_softmax),
    .filter_lanes = NAME(filter_lanes),
    .multiply = NAME(multiply),
    .multiply_transposed = NAME(multiply_transposed),
};

#undef EACH_ROW_COUNT
#undef CHAIN
#undef PANEL
#undef LINE
#undef INLINE
#undef VECTOR
#undef QUAD
#undef DOUBLES
#undef HALF
