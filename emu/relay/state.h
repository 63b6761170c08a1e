/* What a running relay holds, and what it tells of it. */
#ifndef STATE_H
#define STATE_H

#include <poll.h>
#include <stdio.h>

#include "arguments.h"
#include "held.h"

struct counts {
    int64_t in_packets, in_bytes, lost, dropped, delivered, delivered_bytes;
    int64_t failed;    /* the kernel would not send it */
    int64_t oversized; /* larger than an Ethernet frame: a sender's offloads are on */
    int64_t missed;    /* the kernel had no room for it before we read it */
    int64_t late_sum_ns, late_max_ns;
};

struct port {
    struct link *link;
    int in_fd, out_fd;
    struct held held;
    struct counts counts;
};

struct relay {
    struct arguments *arguments;
    struct port ports[MOST_LINKS];
    struct pollfd polled[MOST_LINKS + 1]; /* stdin comes last */
    int64_t epoch_ns, next_sample_ns;
    FILE *samples, *packets;
    char line[256];
    size_t line_bytes;
    bool ended;
};

/* Time since the lanes' start. */
int64_t relay_now(const struct relay *relay);

/* Write counters of all links as one JSON line. */
void print_counts(struct relay *relay, FILE *file, const char *kind);

/* Write a line of queue lengths if it is time to. */
void sample(struct relay *relay);

#endif
