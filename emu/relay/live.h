/* The relay on real interfaces. */
#ifndef LIVE_H
#define LIVE_H

#include "arguments.h"

/* Relay until stdin ends or says stop; return the exit code. */
int run_live(struct arguments *arguments);

#endif
