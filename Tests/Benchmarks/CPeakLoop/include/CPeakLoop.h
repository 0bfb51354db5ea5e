/* The most single-precision arithmetic that one core of this machine does in a second: multiply-adds in registers,
   without a memory access, in as many independent chains as hide their latency. */

#ifndef BELTWATCH_CPEAKLOOP_H
#define BELTWATCH_CPEAKLOOP_H

#include <stddef.h>

struct beltwatch_peak_loop {
    const char *instruction_set;

    /* A multiply-add is two. */
    ptrdiff_t flops_per_round;

    /* Runs the loop; the result depends on every multiply-add, so that none is left out. */
    float (*run)(ptrdiff_t rounds);
};

/* The loop of the widest instruction set that this CPU and its operating system run. */
const struct beltwatch_peak_loop *beltwatch_best_peak_loop(void);

#endif
