#include "state.h"

#include <linux/if_packet.h>
#include <sys/socket.h>
#include <time.h>

int64_t relay_now(const struct relay *relay)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec - relay->epoch_ns;
}

void print_counts(struct relay *relay, FILE *file, const char *kind)
{
    int64_t now = relay_now(relay);
    fprintf(file, "{\"kind\":\"%s\",\"time_ns\":%lld,\"links\":[", kind, (long long)now);
    for (int i = 0; i < relay->arguments->count; i++) {
        struct port *port = &relay->ports[i];
        struct counts *c = &port->counts;
        struct tpacket_stats seen;
        socklen_t size = sizeof seen;
        if (getsockopt(port->in_fd, SOL_PACKET, PACKET_STATISTICS, &seen, &size) == 0)
            c->missed += seen.tp_drops; /* reading sets the kernel's counter to 0 */
        int64_t packets, bytes;
        lane_look(&port->link->lane, now, &packets, &bytes);
        fprintf(file,
                "%s{\"in_packets\":%lld,\"in_bytes\":%lld,\"lost\":%lld,\"dropped\":%lld,"
                "\"delivered\":%lld,\"delivered_bytes\":%lld,\"failed\":%lld,\"held\":%llu,"
                "\"waiting_packets\":%lld,\"waiting_bytes\":%lld,\"missed\":%lld,"
                "\"oversized\":%lld,\"late_sum_ns\":%lld,\"late_max_ns\":%lld}",
                i ? "," : "", (long long)c->in_packets, (long long)c->in_bytes, (long long)c->lost,
                (long long)c->dropped, (long long)c->delivered, (long long)c->delivered_bytes,
                (long long)c->failed, (unsigned long long)(port->held.tail - port->held.head),
                (long long)packets, (long long)bytes, (long long)c->missed,
                (long long)c->oversized, (long long)c->late_sum_ns, (long long)c->late_max_ns);
    }
    fputs("]}\n", file);
}

void sample(struct relay *relay)
{
    int64_t now = relay_now(relay);
    if (relay->samples == NULL || now < relay->next_sample_ns)
        return;
    fprintf(relay->samples, "{\"time_ns\":%lld,\"waiting\":[", (long long)now);
    for (int i = 0; i < relay->arguments->count; i++) {
        int64_t packets, bytes;
        lane_look(&relay->ports[i].link->lane, now, &packets, &bytes);
        fprintf(relay->samples, "%s[%lld,%lld]", i ? "," : "", (long long)packets,
                (long long)bytes);
    }
    fputs("]}\n", relay->samples);
    relay->next_sample_ns += relay->arguments->sample_ns;
    if (relay->next_sample_ns <= now)
        relay->next_sample_ns = now + relay->arguments->sample_ns;
}
