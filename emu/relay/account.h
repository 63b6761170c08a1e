/* The account of packets: one record per packet with TCP payload, in a file. */
#ifndef ACCOUNT_H
#define ACCOUNT_H

#include <stdint.h>
#include <stdio.h>

#include "lane.h"

/* Times are ns since the last restart. emu/relay/account.py has the same layout. */
struct record {
    int64_t arrival_ns;
    int64_t wait_ns;    /* in the queue, before service; 0 if it was not delivered */
    int64_t deliver_ns; /* when it is due at the far end; 0 if it was not delivered */
    uint32_t source;    /* IPv4 address in host order */
    uint32_t bytes;     /* of the frame */
    uint32_t payload;   /* of TCP */
    uint32_t sequence;  /* of TCP: a retransmission has the same */
    uint16_t port;      /* of TCP, at the source */
    uint16_t link;      /* index, in the order of the command line */
    uint16_t verdict;
    uint16_t zero;
};

/* Enter the packet that the lane has just decided on, if it has TCP payload. */
void account_enter(FILE *file, int link, const struct lane *lane, enum verdict verdict,
                   int64_t deliver_ns, const uint8_t *frame, int64_t bytes);

/* Forget what was entered. */
void account_restart(FILE *file);

#endif
