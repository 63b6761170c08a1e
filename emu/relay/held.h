/* Packets that have been decided on and wait for their time: a FIFO per link. */
#ifndef HELD_H
#define HELD_H

#include <stdint.h>

struct packet {
    int64_t deliver_ns;
    uint32_t bytes;
    uint8_t *data;
};

struct held {
    struct packet *ring;
    uint64_t size, head, tail; /* size is a power of two */
};

/* The packet that is due first, or NULL. */
struct packet *held_first(struct held *held);

/* Keep a copy of a packet; prints a line and exits with 3 if memory is short. */
void held_push(struct held *held, int64_t deliver_ns, const uint8_t *data, uint32_t bytes);

/* Free the packet that is due first. */
void held_pop(struct held *held);

#endif
