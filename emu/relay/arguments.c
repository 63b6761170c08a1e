#define _GNU_SOURCE
#include "arguments.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t MOST_NS = 100000000000000000, MOST_DELAY_NS = 1000000000000000;
static const int64_t MOST_BPS = 100000000000;

static char part[32] = "options"; /* what messages name: the options, or "link 1" ... */

__attribute__((noreturn, format(printf, 1, 2))) static void refuse(const char *format, ...)
{
    va_list values;
    fprintf(stderr, "relay: %s: ", part);
    va_start(values, format);
    vfprintf(stderr, format, values);
    va_end(values);
    fputc('\n', stderr);
    exit(2);
}

static int64_t whole(const char *name, const char *text, int64_t least, int64_t most)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || value < least || value > most)
        refuse("%s must be an integer of %lld to %lld, got '%s'", name, (long long)least,
               (long long)most, text);
    return value;
}

static double probability(const char *name, const char *text)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= 0.0 && value <= 1.0))
        refuse("%s must be a number of 0 to 1, got '%s'", name, text);
    return value;
}

static uint64_t seed(const char *text)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || *text == '-')
        refuse("seed must be an integer of 0 to 2^64 - 1, got '%s'", text);
    return value;
}

static void interface(const char *name, const char *text, char *into)
{
    size_t length = strlen(text);
    const char *allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
    if (length == 0 || length >= NAME_BYTES || strspn(text, allowed) != length)
        refuse("%s must be the name of an interface, got '%s'", name, text);
    memcpy(into, text, length + 1);
}

static void add_point(struct capacity *c, const char *path, long line, int64_t at, int64_t rate)
{
    bool strictly = c->kind == STEPS;
    int64_t before = c->points > 0 ? c->at_ns[c->points - 1] : -1;
    if (at < 0 || at > MOST_NS || at < before || (strictly && at == before))
        refuse("%s, line %ld: times must rise from 0", path, line);
    if (strictly && c->points == 0 && at != 0)
        refuse("%s, line %ld: the first time must be 0", path, line);
    if (strictly && (rate < 1 || rate > MOST_BPS))
        refuse("%s, line %ld: rates must be 1 to %lld bit/s", path, line, (long long)MOST_BPS);
    if ((c->points & (c->points - 1)) == 0) {
        size_t bytes = (c->points ? 2 * (size_t)c->points : 1) * sizeof(int64_t);
        c->at_ns = realloc(c->at_ns, bytes);
        c->rates_bps = realloc(c->rates_bps, bytes);
        if (c->at_ns == NULL || c->rates_bps == NULL)
            refuse("%s is too long for this machine's memory", path);
    }
    c->at_ns[c->points] = at;
    c->rates_bps[c->points++] = rate;
}

/* A trace is a text file: of steps, lines "ns bit/s"; of opportunities, lines "ns". */
static void read_trace(struct capacity *c, enum capacity_kind kind, const char *path)
{
    FILE *file = fopen(path, "r");
    if (file == NULL)
        refuse("cannot read the trace %s: %s", path, strerror(errno));
    c->kind = kind;
    char line[128];
    for (long number = 1; fgets(line, sizeof line, file) != NULL; number++) {
        long long at, rate = 0;
        int used = 0;
        int found = kind == STEPS ? sscanf(line, "%lld %lld %n", &at, &rate, &used)
                                  : sscanf(line, "%lld %n", &at, &used);
        if (found != (kind == STEPS ? 2 : 1) || line[used] != '\0')
            refuse("%s, line %ld is not '%s'", path, number, kind == STEPS ? "ns bit/s" : "ns");
        add_point(c, path, number, at, rate);
    }
    fclose(file);
    if (c->points == 0)
        refuse("the trace %s is empty", path);
}

static void loss_kind(struct loss *loss, const char *text)
{
    if (strcmp(text, "bernoulli") == 0)
        loss->kind = BERNOULLI;
    else if (strcmp(text, "gilbert") == 0)
        loss->kind = GILBERT;
    else
        refuse("loss must be bernoulli or gilbert, got '%s'", text);
}

static void link_option(struct link *link, const char *name, const char *value)
{
    struct lane *lane = &link->lane;
    struct capacity *c = &lane->capacity;
    if (strcmp(name, "in") == 0)
        interface(name, value, link->in);
    else if (strcmp(name, "out") == 0)
        interface(name, value, link->out);
    else if (strcmp(name, "rate_bps") == 0)
        c->rate_bps = whole(name, value, 1, MOST_BPS);
    else if (strcmp(name, "steps") == 0)
        read_trace(c, STEPS, value);
    else if (strcmp(name, "opportunities") == 0)
        read_trace(c, OPPORTUNITIES, value);
    else if (strcmp(name, "period_ns") == 0)
        c->period_ns = whole(name, value, 1, MOST_NS);
    else if (strcmp(name, "delay_ns") == 0)
        lane->delay_ns = whole(name, value, 0, MOST_DELAY_NS);
    else if (strcmp(name, "queue_packets") == 0)
        lane->limit_packets = whole(name, value, 1, 1000000000);
    else if (strcmp(name, "queue_bytes") == 0)
        lane->limit_bytes = whole(name, value, 1, 10000000000000);
    else if (strcmp(name, "loss") == 0)
        loss_kind(&lane->loss, value);
    else if (strcmp(name, "p") == 0)
        lane->loss.p = probability(name, value);
    else if (strcmp(name, "to_bad") == 0)
        lane->loss.to_bad = probability(name, value);
    else if (strcmp(name, "to_good") == 0)
        lane->loss.to_good = probability(name, value);
    else if (strcmp(name, "loss_bad") == 0)
        lane->loss.loss_bad = probability(name, value);
    else if (strcmp(name, "loss_good") == 0)
        lane->loss.loss_good = probability(name, value);
    else if (strcmp(name, "seed") == 0)
        lane->loss.seed = seed(value);
    else
        refuse("no such option: %s", name);
}

static void option(struct arguments *out, const char *name, const char *value)
{
    if (strcmp(name, "spin_ns") == 0)
        out->spin_ns = whole(name, value, 0, 1000000000);
    else if (strcmp(name, "realtime") == 0)
        out->realtime = whole(name, value, 0, 1) == 1;
    else if (strcmp(name, "sample_ns") == 0)
        out->sample_ns = whole(name, value, 100000, MOST_NS);
    else if (strcmp(name, "samples") == 0)
        out->samples = value;
    else if (strcmp(name, "packets") == 0)
        out->packets = value;
    else
        refuse("no such option: %s", name);
}

static void check_link(struct arguments *out, struct link *link)
{
    struct capacity *c = &link->lane.capacity;
    if ((c->rate_bps > 0) + (c->points > 0) != 1)
        refuse("needs one capacity: rate_bps, steps or opportunities");
    if (c->points > 0 && c->period_ns > 0 && c->period_ns <= c->at_ns[c->points - 1])
        refuse("period_ns must be later than the trace's last time");
    if (c->kind == OPPORTUNITIES && c->period_ns == 0)
        refuse("opportunities need a period_ns");
    if (c->kind == CONSTANT && c->period_ns != 0)
        refuse("period_ns belongs to a trace");
    if ((link->lane.limit_packets > 0) + (link->lane.limit_bytes > 0) != 1)
        refuse("needs one queue limit: queue_packets or queue_bytes");
    if (link->lane.loss.kind == GILBERT && !(link->lane.loss.to_good > 0.0))
        refuse("to_good must be above 0, so that the bad state ends");
    if (!out->replay && (link->in[0] == '\0' || link->out[0] == '\0'))
        refuse("needs the interfaces in and out");
    for (struct link *other = out->links; !out->replay && other < link; other++)
        if (strcmp(other->in, link->in) == 0)
            refuse("in=%s is another link's too; one link takes what an interface receives",
                   link->in);
    lane_restart(&link->lane);
}

void read_arguments(int argc, char **argv, struct arguments *out)
{
    memset(out, 0, sizeof *out);
    if (argc < 2 || (strcmp(argv[1], "run") != 0 && strcmp(argv[1], "replay") != 0))
        refuse("the first word must be run or replay");
    out->replay = strcmp(argv[1], "replay") == 0;
    struct link *link = NULL;
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "link") == 0) {
            if (link != NULL)
                check_link(out, link);
            if (out->count == MOST_LINKS)
                refuse("at most %d links", MOST_LINKS);
            link = &out->links[out->count++];
            snprintf(part, sizeof part, "link %d", out->count);
            continue;
        }
        char *equals = strchr(argv[i], '=');
        if (equals == NULL)
            refuse("'%s' is not of the form option=value", argv[i]);
        *equals = '\0';
        if (link == NULL)
            option(out, argv[i], equals + 1);
        else
            link_option(link, argv[i], equals + 1);
    }
    if (link == NULL)
        refuse("needs at least one link");
    check_link(out, link);
    if (out->replay && out->count != 1)
        refuse("a replay has one link");
    if ((out->samples != NULL) != (out->sample_ns > 0))
        refuse("samples and sample_ns go together");
}
