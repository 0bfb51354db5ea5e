#ifndef BELTWATCH_CZEROMQ_SHIM_H
#define BELTWATCH_CZEROMQ_SHIM_H

#include <zmq.h>

#endif
