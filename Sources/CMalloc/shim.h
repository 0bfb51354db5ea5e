#ifndef BELTWATCH_CMALLOC_SHIM_H
#define BELTWATCH_CMALLOC_SHIM_H

#include <malloc.h>

#endif
