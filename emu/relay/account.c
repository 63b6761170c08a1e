#define _GNU_SOURCE
#include "account.h"

#include <unistd.h>

enum { ETHERNET = 14, IPV4 = 0x0800, TCP = 6, LEAST_IP = 20, LEAST_TCP = 20 };

static uint32_t big16(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

static uint32_t big32(const uint8_t *at)
{
    return big16(at) << 16 | big16(at + 2);
}

/* Fill in what the headers of a frame say; false if it has no TCP payload. */
static bool read_headers(struct record *record, const uint8_t *frame, int64_t bytes)
{
    const uint8_t *ip = frame + ETHERNET;
    if (bytes < ETHERNET + LEAST_IP || big16(frame + 12) != IPV4 || ip[9] != TCP)
        return false;
    uint32_t ip_header = 4u * (ip[0] & 15), whole = big16(ip + 2);
    if (ip_header < LEAST_IP || bytes < (int64_t)(ETHERNET + ip_header + LEAST_TCP))
        return false;
    const uint8_t *tcp = ip + ip_header;
    uint32_t headers = ip_header + 4u * (tcp[12] >> 4);
    record->source = big32(ip + 12);
    record->port = (uint16_t)big16(tcp);
    record->sequence = big32(tcp + 4);
    record->payload = whole > headers ? whole - headers : 0;
    return record->payload > 0;
}

void account_enter(FILE *file, int link, const struct lane *lane, enum verdict verdict,
                   int64_t deliver_ns, const uint8_t *frame, int64_t bytes)
{
    struct record record = {.arrival_ns = lane->last_arrival_ns, .bytes = (uint32_t)bytes};
    if (!read_headers(&record, frame, bytes))
        return;
    record.link = (uint16_t)link;
    record.verdict = (uint16_t)verdict;
    if (verdict == DELIVER) {
        record.wait_ns = lane->last_wait_ns;
        record.deliver_ns = deliver_ns;
    }
    fwrite(&record, sizeof record, 1, file);
}

void account_restart(FILE *file)
{
    fflush(file);
    if (ftruncate(fileno(file), 0) == 0)
        rewind(file);
}
