#define _GNU_SOURCE
#include "live.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "account.h"
#include "state.h"

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

#define BATCH 32
#define USUAL_FRAME 1518
static const int64_t NS = 1000000000;
static const int64_t OLDEST_NS = 10000000000; /* a stamp older than that is a step of the clock */

static uint8_t frames[BATCH][MOST_BYTES];

static int64_t clock_ns(clockid_t which)
{
    struct timespec t;
    clock_gettime(which, &t);
    return t.tv_sec * NS + t.tv_nsec;
}

__attribute__((noreturn)) static void fail(const char *what, const char *interface)
{
    fprintf(stderr, "relay: %s %s: %s\n", what, interface, strerror(errno));
    exit(3);
}

static int open_interface(const char *name)
{
    int on = 1, buffer = 32 << 20;
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        fail("cannot open a packet socket (needs root) on", name);
    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on);
    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer);
    if (setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on) != 0)
        fail("cannot have stamps on", name);
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
    address.sll_ifindex = (int)if_nametoindex(name);
    if (address.sll_ifindex == 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0)
        fail("cannot listen on interface", name);
    return fd;
}

static void open_ports(struct relay *relay)
{
    struct arguments *a = relay->arguments;
    for (int i = 0; i < a->count; i++) {
        struct port *port = &relay->ports[i];
        port->link = &a->links[i];
        port->in_fd = open_interface(port->link->in);
        relay->polled[i] = (struct pollfd){.fd = port->in_fd, .events = POLLIN};
    }
    for (int i = 0; i < a->count; i++) {
        struct port *port = &relay->ports[i];
        port->out_fd = -1;
        for (int j = 0; j < a->count && port->out_fd < 0; j++)
            if (strcmp(a->links[j].in, port->link->out) == 0)
                port->out_fd = relay->ports[j].in_fd;
        if (port->out_fd < 0)
            port->out_fd = open_interface(port->link->out);
    }
    relay->polled[a->count] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
}

static void take(struct relay *relay, struct port *port, struct mmsghdr *message, int64_t arrival)
{
    int64_t deliver_ns = 0, bytes = message->msg_len;
    struct counts *counts = &port->counts;
    counts->in_packets++;
    counts->in_bytes += bytes;
    counts->oversized += bytes > USUAL_FRAME;
    const uint8_t *frame = message->msg_hdr.msg_iov->iov_base;
    struct lane *lane = &port->link->lane;
    enum verdict verdict = lane_arrive(lane, arrival < 0 ? 0 : arrival, bytes, &deliver_ns);
    if (relay->packets != NULL) {
        int link = (int)(port - relay->ports);
        account_enter(relay->packets, link, lane, verdict, deliver_ns, frame, bytes);
    }
    switch (verdict) {
    case LOST:
        counts->lost++;
        break;
    case DROPPED:
        counts->dropped++;
        break;
    case DELIVER:
        held_push(&port->held, relay->epoch_ns + deliver_ns, frame, (uint32_t)bytes);
    }
}

/* When the kernel received a packet, on CLOCK_REALTIME; `otherwise` if it does not say. */
static int64_t stamp_of(struct msghdr *header, int64_t otherwise)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec t;
            memcpy(&t, CMSG_DATA(c), sizeof t);
            return t.tv_sec * NS + t.tv_nsec;
        }
    }
    return otherwise;
}

static void receive(struct relay *relay, struct port *port)
{
    static char controls[BATCH][128];
    struct mmsghdr messages[BATCH];
    struct iovec parts[BATCH];
    memset(messages, 0, sizeof messages);
    for (int i = 0; i < BATCH; i++) {
        parts[i] = (struct iovec){frames[i], MOST_BYTES};
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
        messages[i].msg_hdr.msg_control = controls[i];
        messages[i].msg_hdr.msg_controllen = sizeof controls[i];
    }
    int count = recvmmsg(port->in_fd, messages, BATCH, MSG_DONTWAIT, NULL);
    if (count < 0 && errno != EAGAIN && errno != EINTR)
        fail("cannot receive on", port->link->in);
    /* Stamps are on the clock that may be set; their age moves them to the one that may not. */
    int64_t real = clock_ns(CLOCK_REALTIME), now = relay_now(relay);
    for (int i = 0; i < count; i++) {
        int64_t age = real - stamp_of(&messages[i].msg_hdr, real);
        take(relay, port, &messages[i], age < 0 || age > OLDEST_NS ? now : now - age);
    }
}

static void deliver_due(struct port *port)
{
    struct packet *packet;
    while ((packet = held_first(&port->held)) != NULL) {
        int64_t late = clock_ns(CLOCK_MONOTONIC) - packet->deliver_ns;
        if (late < 0)
            return;
        if (send(port->out_fd, packet->data, packet->bytes, MSG_DONTWAIT) < 0) {
            port->counts.failed++;
        } else {
            port->counts.delivered++;
            port->counts.delivered_bytes += packet->bytes;
        }
        port->counts.late_sum_ns += late;
        if (late > port->counts.late_max_ns)
            port->counts.late_max_ns = late;
        held_pop(&port->held);
    }
}

static void restart(struct relay *relay)
{
    for (int i = 0; i < relay->arguments->count; i++) {
        struct port *port = &relay->ports[i];
        while (held_first(&port->held) != NULL)
            held_pop(&port->held);
        memset(&port->counts, 0, sizeof port->counts);
        lane_restart(&port->link->lane);
    }
    relay->epoch_ns = clock_ns(CLOCK_MONOTONIC);
    relay->next_sample_ns = 0;
    if (relay->packets != NULL)
        account_restart(relay->packets);
}

static void answer(struct relay *relay, const char *command)
{
    if (strcmp(command, "restart") == 0)
        restart(relay);
    else if (strcmp(command, "stop") == 0)
        relay->ended = true;
    else if (strcmp(command, "counters") != 0)
        fprintf(stderr, "relay: no such command: '%s'\n", command);
    if (relay->samples != NULL)
        fflush(relay->samples);
    if (relay->packets != NULL)
        fflush(relay->packets);
    if (!relay->ended) {
        print_counts(relay, stdout, "counters");
        fflush(stdout);
    }
}

/* Read stdin without waiting; carry out each whole line. */
static void listen_to_stdin(struct relay *relay)
{
    char *newline;
    ssize_t got = read(STDIN_FILENO, relay->line + relay->line_bytes,
                       sizeof relay->line - 1 - relay->line_bytes);
    if (got <= 0) { /* it ended, or a line is too long: nobody steers any more */
        relay->ended = true;
        return;
    }
    relay->line_bytes += (size_t)got;
    relay->line[relay->line_bytes] = '\0';
    while ((newline = strchr(relay->line, '\n')) != NULL) {
        *newline = '\0';
        answer(relay, relay->line);
        relay->line_bytes -= (size_t)(newline + 1 - relay->line);
        memmove(relay->line, newline + 1, relay->line_bytes + 1);
    }
}

/* Sleep until a packet comes or one is due, but wake up `spin_ns` early. */
static void wait_for_work(struct relay *relay)
{
    int64_t now = clock_ns(CLOCK_MONOTONIC), due = now + NS;
    for (int i = 0; i < relay->arguments->count; i++) {
        struct packet *first = held_first(&relay->ports[i].held);
        if (first != NULL && first->deliver_ns < due)
            due = first->deliver_ns;
    }
    int64_t sample_ns = relay->epoch_ns + relay->next_sample_ns;
    int64_t left = due - relay->arguments->spin_ns - now;
    if (relay->samples != NULL && sample_ns - now < left)
        left = sample_ns - now;
    left = left < 0 ? 0 : left;
    struct timespec timeout = {.tv_sec = left / NS, .tv_nsec = left % NS};
    if (ppoll(relay->polled, (nfds_t)relay->arguments->count + 1, &timeout, NULL) <= 0)
        return;
    for (int i = 0; i < relay->arguments->count; i++) {
        if (relay->polled[i].revents & (POLLERR | POLLNVAL))
            fail("lost interface", relay->arguments->links[i].in);
        if (relay->polled[i].revents & POLLIN)
            receive(relay, &relay->ports[i]);
    }
    if (relay->polled[relay->arguments->count].revents != 0)
        listen_to_stdin(relay);
}

static bool ask_for_priority(void)
{
    struct sched_param priority = {.sched_priority = 50};
    return sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &priority) == 0;
}

int run_live(struct arguments *arguments)
{
    static struct relay relay;
    relay.arguments = arguments;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_TIMERSLACK, 1);
    if (arguments->samples != NULL && (relay.samples = fopen(arguments->samples, "w")) == NULL)
        fail("cannot write the samples", arguments->samples);
    if (arguments->packets != NULL && (relay.packets = fopen(arguments->packets, "w")) == NULL)
        fail("cannot write the account", arguments->packets);
    open_ports(&relay);
    bool realtime = arguments->realtime && ask_for_priority();
    restart(&relay);
    printf("{\"kind\":\"ready\",\"realtime\":%s}\n", realtime ? "true" : "false");
    fflush(stdout);
    while (!relay.ended) {
        for (int i = 0; i < arguments->count; i++)
            deliver_due(&relay.ports[i]);
        sample(&relay);
        wait_for_work(&relay);
    }
    print_counts(&relay, stdout, "end");
    return 0;
}
