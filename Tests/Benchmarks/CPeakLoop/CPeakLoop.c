#include "CPeakLoop.h"

/* 12 chains: more than latency times units of any CPU with AVX2 (4 · 2 to 5 · 2), and they fit into 16 registers. */
enum { CHAINS = 12 };

#define PEAK_LOOP(name, lanes, attributes)                                                                            \
    typedef float name##_vector __attribute__((vector_size((lanes) * sizeof(float))));                                 \
    attributes static float run_##name(ptrdiff_t rounds) {                                                             \
        name##_vector chains[CHAINS];                                                                                  \
        for (int i = 0; i < CHAINS; i++) chains[i] = (name##_vector){0} + (float)i;                                    \
        /* Converges to 1, far from infinity and from denormal numbers. */                                             \
        const name##_vector factor = (name##_vector){0} + 0.5f, summand = factor;                                      \
        for (ptrdiff_t round = 0; round < rounds; round++) {                                                           \
            _Pragma("clang loop unroll(full)") for (int i = 0; i < CHAINS; i++)                                        \
                chains[i] = chains[i] * factor + summand;                                                              \
        }                                                                                                              \
        name##_vector sum = chains[0];                                                                                 \
        for (int i = 1; i < CHAINS; i++) sum += chains[i];                                                             \
        return sum[0];                                                                                                 \
    }                                                                                                                  \
    static const struct beltwatch_peak_loop loop_##name

PEAK_LOOP(baseline, 4, ) = {"baseline", 2 * 4 * CHAINS, run_baseline};

#if defined(__x86_64__)
PEAK_LOOP(avx2, 8, __attribute__((target("avx2,fma")))) = {"AVX2", 2 * 8 * CHAINS, run_avx2};
PEAK_LOOP(avx512, 16, __attribute__((target("avx512f,fma")))) = {"AVX-512", 2 * 16 * CHAINS, run_avx512};
#endif

const struct beltwatch_peak_loop *beltwatch_best_peak_loop(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f")) return &loop_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &loop_avx2;
#endif
    return &loop_baseline;
}
