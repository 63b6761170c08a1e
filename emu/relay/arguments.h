/* The command line of the relay: `relay MODE [option=value ...] link option=value ... link ...`.
 * emu/relay/arguments.py writes and reads the same words.
 */
#ifndef ARGUMENTS_H
#define ARGUMENTS_H

#include "lane.h"

#define MOST_LINKS 64
#define MOST_BYTES 65600
#define NAME_BYTES 16 /* IFNAMSIZ */

struct link {
    char in[NAME_BYTES], out[NAME_BYTES]; /* interfaces; "" in a replay */
    struct lane lane;
};

struct arguments {
    bool replay, realtime;
    int64_t spin_ns, sample_ns;
    const char *samples; /* file of queue samples, or NULL */
    const char *packets; /* file of the account of packets, or NULL */
    struct link links[MOST_LINKS];
    int count;
};

/* Read the command line; on anything amiss print one line that names the field, and exit with 2. */
void read_arguments(int argc, char **argv, struct arguments *out);

#endif
