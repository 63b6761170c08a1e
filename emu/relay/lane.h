/* One direction of a link: what becomes of a packet, decided from its arrival and length alone.
 *
 * The rules are those of docs/network-model.md, "Links": random loss, then tail drop over waiting
 * packets, then service, then propagation. Times are ns since the lane's start, lengths bytes.
 */
#ifndef LANE_H
#define LANE_H

#include <stdbool.h>
#include <stdint.h>

enum capacity_kind { CONSTANT, STEPS, OPPORTUNITIES };
enum loss_kind { NO_LOSS, BERNOULLI, GILBERT };
enum verdict { DELIVER, LOST, DROPPED };

struct capacity {
    enum capacity_kind kind;
    int64_t rate_bps;   /* CONSTANT */
    int64_t *at_ns;     /* STEPS: when each rate begins; OPPORTUNITIES: when a packet may leave */
    int64_t *rates_bps; /* STEPS */
    int64_t points;
    int64_t period_ns; /* 0: the last rate holds for ever */
};

struct loss {
    enum loss_kind kind;
    double p;
    double to_bad, to_good, loss_bad, loss_good;
    uint64_t seed;
};

struct waiting {
    int64_t start_ns; /* of its service */
    int64_t bytes;
};

struct lane {
    struct capacity capacity;
    struct loss loss;
    int64_t delay_ns;
    int64_t limit_packets, limit_bytes; /* one of them is 0: no such limit */

    /* What changes. */
    uint64_t luck;
    bool bad;
    int64_t last_arrival_ns, busy_until_ns, next_opportunity;
    int64_t last_wait_ns; /* of the newest packet that was to be delivered */
    struct waiting *ring;
    uint64_t ring_size, head, tail; /* ring_size is a power of two */
    int64_t waiting_bytes;
};

/* Forget all packets; luck, trace and time begin anew. */
void lane_restart(struct lane *lane);

/* Decide on a packet; *deliver_ns is when it leaves the link if the answer is DELIVER.
 * An arrival before the one before it counts as simultaneous with that one. */
enum verdict lane_arrive(struct lane *lane, int64_t now_ns, int64_t bytes, int64_t *deliver_ns);

/* Count what waits at a time, changing nothing: a look must not alter what comes after it. */
void lane_look(const struct lane *lane, int64_t now_ns, int64_t *packets, int64_t *bytes);

#endif
