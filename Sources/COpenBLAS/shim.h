#ifndef BELTWATCH_COPENBLAS_SHIM_H
#define BELTWATCH_COPENBLAS_SHIM_H

#include <cblas.h>
#include <stdlib.h>
#include <string.h>

/* In every OpenBLAS built for several CPUs, in no header: forget the chosen kernels, choose again. */
extern void gotoblas_dynamic_init(void) __attribute__((weak));
extern void gotoblas_dynamic_quit(void) __attribute__((weak));

/* An OpenBLAS older than the CPU does not know its model number and takes its oldest kernels. OpenBLAS 0.3.21 on a Xeon
   of 2023, sgemm of 1024x1024 matrices, one thread: 32 instead of 155 GFLOP/s. The instruction sets tell which kernels
   can run. The environment decides if it names any. To be called once, before any other thread uses OpenBLAS; it
   changes the environment for a moment, so best before other threads read that. */
static inline void beltwatch_openblas_choose_kernels(void) {
#if defined(__x86_64__)
    static const char variable[] = "OPENBLAS_CORETYPE";
    const char *kernels = NULL;
    if (!gotoblas_dynamic_init || !gotoblas_dynamic_quit || getenv(variable)) return;
    const char *chosen = openblas_get_corename();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("avx512vl")) {
        /* All of these are AVX2 kernels or older. */
        static const char *const without_avx512[] = {"Prescott", "Haswell", "Zen", "Excavator", "Sandybridge"};
        for (size_t i = 0; i < sizeof without_avx512 / sizeof *without_avx512; i++)
            if (strcmp(chosen, without_avx512[i]) == 0) kernels = "SKYLAKEX";
    } else if (
        strcmp(chosen, "Prescott") == 0 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        kernels = "HASWELL";
    if (!kernels) return;
    setenv(variable, kernels, 0);
    gotoblas_dynamic_quit();
    gotoblas_dynamic_init();
    unsetenv(variable);
#endif
}

#endif
