/* A link in user space: what comes in at one interface goes out at another, later or not at all.
 *
 * When a packet leaves follows from when the kernel received it (SO_TIMESTAMPNS) by arithmetic
 * (lane.c); the process only sleeps until then. That it wakes up late makes a packet late by that
 * much, and changes neither the rate, nor what is dropped, nor the order.
 *
 * `relay run` answers lines on stdin ("counters", "restart", "stop"; the end of stdin is a stop)
 * with JSON lines on stdout. `relay replay` has no network: it reads lines "arrival_ns bytes" and
 * answers each with "verdict deliver_ns waiting_packets waiting_bytes".
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arguments.h"
#include "live.h"

static int replay(struct lane *lane)
{
    char line[128];
    long long now, bytes;
    int used;
    for (long number = 1; fgets(line, sizeof line, stdin) != NULL; number++) {
        used = 0;
        if (sscanf(line, "%lld %lld %n", &now, &bytes, &used) != 2 || line[used] != '\0' ||
            now < 0 || now > 100000000000000000 || bytes < 1 || bytes > MOST_BYTES) {
            fprintf(stderr, "relay: stdin, line %ld is not 'arrival_ns bytes' in range\n", number);
            return 2;
        }
        int64_t deliver_ns = 0, packets, queued;
        enum verdict verdict = lane_arrive(lane, now, bytes, &deliver_ns);
        lane_look(lane, now, &packets, &queued);
        printf("%d %lld %lld %lld\n", verdict, (long long)deliver_ns, (long long)packets,
               (long long)queued);
    }
    return 0;
}

int main(int argc, char **argv)
{
    static struct arguments arguments;
    read_arguments(argc, argv, &arguments);
    return arguments.replay ? replay(&arguments.links[0].lane) : run_live(&arguments);
}
