#include "held.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *required(void *memory)
{
    if (memory == NULL) {
        fputs("relay: no memory for packets in flight; ask for a shorter delay or queue\n", stderr);
        exit(3);
    }
    return memory;
}

struct packet *held_first(struct held *held)
{
    return held->head == held->tail ? NULL : &held->ring[held->head & (held->size - 1)];
}

void held_push(struct held *held, int64_t deliver_ns, const uint8_t *data, uint32_t bytes)
{
    if (held->tail - held->head == held->size) {
        uint64_t size = held->size ? 2 * held->size : 256;
        struct packet *ring = required(malloc(size * sizeof *ring));
        for (uint64_t i = held->head; i != held->tail; i++)
            ring[i & (size - 1)] = held->ring[i & (held->size - 1)];
        free(held->ring);
        held->ring = ring;
        held->size = size;
    }
    uint8_t *copy = required(malloc(bytes));
    memcpy(copy, data, bytes);
    held->ring[held->tail++ & (held->size - 1)] = (struct packet){deliver_ns, bytes, copy};
}

void held_pop(struct held *held)
{
    free(held->ring[held->head++ & (held->size - 1)].data);
}
