#define _GNU_SOURCE
#include "CKernels.h"

#if defined(__linux__)
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#endif

#if defined(__x86_64__)
#define HAS_AVX 1
#else
#define HAS_AVX 0
#endif

/* Rows of a register block: as many as leave room for one row of b and, without broadcasting loads, one value of a.
   AVX-512: 14 · 2 + 2 of 32 registers. AVX2: 6 · 2 + 3 of 16. SSE2: 4 · 2 + 4 (no fused multiply-add) of 16. */

#define LANES 4
#define NAME(x) x##_baseline
#define TARGET
#define BLOCK_ROWS 4
#define INSTRUCTION_SET_NAME "baseline"
#include "VectorKernels.inc.h"
#undef LANES
#undef NAME
#undef TARGET
#undef BLOCK_ROWS
#undef INSTRUCTION_SET_NAME

#if HAS_AVX
#define LANES 8
#define NAME(x) x##_avx2
#define TARGET __attribute__((target("avx2,fma")))
#define BLOCK_ROWS 6
#define INSTRUCTION_SET_NAME "AVX2"
#include "VectorKernels.inc.h"
#undef LANES
#undef NAME
#undef TARGET
#undef BLOCK_ROWS
#undef INSTRUCTION_SET_NAME

#define LANES 16
#define NAME(x) x##_avx512
#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,fma")))
#define BLOCK_ROWS 14
#define INSTRUCTION_SET_NAME "AVX-512"
#include "VectorKernels.inc.h"
#endif

enum beltwatch_instruction_set beltwatch_best_instruction_set(void) {
#if HAS_AVX
    /* Asks the operating system too, by XGETBV: a kernel that does not save the registers hides the instructions. */
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")
        && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("fma"))
        return BELTWATCH_AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return BELTWATCH_AVX2;
#endif
    return BELTWATCH_BASELINE;
}

/* x86: flush-to-zero and denormals-are-zero of MXCSR. ARM64: flush-to-zero of FPCR. */
unsigned long beltwatch_flush_denormals(void) {
#if defined(__x86_64__)
    const unsigned state = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(state | 0x8040);
    return state;
#elif defined(__aarch64__)
    unsigned long state;
    __asm__ volatile("mrs %0, fpcr" : "=r"(state));
    __asm__ volatile("msr fpcr, %0" : : "r"(state | (1ul << 24)));
    return state;
#else
    return 0;
#endif
}

void beltwatch_restore_denormals(unsigned long state) {
#if defined(__x86_64__)
    __builtin_ia32_ldmxcsr((unsigned)state);
#elif defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" : : "r"(state));
#else
    (void)state;
#endif
}

const struct beltwatch_vector_kernels *beltwatch_vector_kernels_for(enum beltwatch_instruction_set set) {
    switch (set) {
    case BELTWATCH_BASELINE: return &kernels_baseline;
#if HAS_AVX
    case BELTWATCH_AVX2: return &kernels_avx2;
    case BELTWATCH_AVX512: return &kernels_avx512;
#endif
    default: return NULL;
    }
}

void beltwatch_keep_freed_memory(void) {
#if defined(__GLIBC__)
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TRIM_THRESHOLD, 0x7fffffff);
#endif
}

int beltwatch_processors(void) {
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
    return 1;
}

void beltwatch_name_this_thread(const char *name) {
#if defined(__linux__)
    pthread_setname_np(pthread_self(), name);
#else
    (void)name;
#endif
}

int beltwatch_current_processor(void) {
#if defined(__linux__)
    return sched_getcpu();
#else
    return -1;
#endif
}

/* The kernel moves a thread when it takes the processor out of its set, and lets it stay when it is in again. */
void beltwatch_leave_processor(int processor) {
#if defined(__linux__)
    cpu_set_t all, others;
    if (processor < 0 || processor >= CPU_SETSIZE || sched_getcpu() != processor) return;
    if (sched_getaffinity(0, sizeof all, &all) != 0 || CPU_COUNT(&all) < 2) return;
    others = all;
    CPU_CLR(processor, &others);
    if (sched_setaffinity(0, sizeof others, &others) == 0) sched_setaffinity(0, sizeof all, &all);
#else
    (void)processor;
#endif
}
