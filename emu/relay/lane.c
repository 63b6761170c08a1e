#include "lane.h"

#include <stdio.h>
#include <stdlib.h>

static const int64_t NS = 1000000000;

void lane_restart(struct lane *lane)
{
    lane->luck = lane->loss.seed;
    lane->bad = false;
    lane->last_arrival_ns = 0;
    lane->last_wait_ns = 0;
    lane->busy_until_ns = -1;
    lane->next_opportunity = 0;
    lane->head = lane->tail = 0;
    lane->waiting_bytes = 0;
}

/* splitmix64 (Steele, Lea, Flood, OOPSLA 2014); the numbers of sim/net/luck.py. */
static double uniform(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z = z ^ (z >> 31);
    return (double)(z >> 11) * (1.0 / 9007199254740992.0);
}

static bool is_lost(struct lane *lane)
{
    const struct loss *loss = &lane->loss;
    if (loss->kind == BERNOULLI)
        return loss->p > 0.0 && uniform(&lane->luck) < loss->p;
    if (loss->kind == GILBERT) {
        double moves = lane->bad ? loss->to_good : loss->to_bad;
        if (uniform(&lane->luck) < moves)
            lane->bad = !lane->bad;
        return uniform(&lane->luck) < (lane->bad ? loss->loss_bad : loss->loss_good);
    }
    return false;
}

/* The index of the first of `points` rising times that is later than `moment`. */
static int64_t first_after(const int64_t *times, int64_t points, int64_t moment)
{
    int64_t low = 0, high = points;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (times[middle] > moment)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* How many whole periods pass before `work` (bits * 10^9) is done; *per_period is theirs. */
static int64_t whole_periods(const struct capacity *c, int64_t work, int64_t *per_period)
{
    int64_t offered = 0;
    for (int64_t i = 0; i < c->points; i++) {
        int64_t left = (i + 1 < c->points ? c->at_ns[i + 1] : c->period_ns) - c->at_ns[i];
        if (left > work / c->rates_bps[i]) /* by division: the product may not fit */
            return 0;
        offered += left * c->rates_bps[i];
        if (offered >= work)
            return 0;
    }
    *per_period = offered;
    return (work - 1) / offered;
}

static int64_t steps_end(const struct capacity *c, int64_t now, int64_t work)
{
    int64_t per_period = 0;
    if (c->period_ns > 0) {
        int64_t periods = whole_periods(c, work, &per_period);
        now += periods * c->period_ns;
        work -= periods * per_period;
    }
    for (;;) {
        int64_t phase = c->period_ns > 0 ? now % c->period_ns : now;
        int64_t piece = first_after(c->at_ns, c->points, phase) - 1;
        int64_t rate = c->rates_bps[piece], needed = (work + rate - 1) / rate, left;
        if (piece + 1 < c->points)
            left = c->at_ns[piece + 1] - phase;
        else if (c->period_ns > 0)
            left = c->period_ns - phase;
        else
            return now + needed;
        if (needed <= left)
            return now + needed;
        work -= rate * left;
        now += left;
    }
}

/* Use up the first opportunity at `now` or later that no packet has used. */
static int64_t take_opportunity(struct lane *lane, int64_t now)
{
    const struct capacity *c = &lane->capacity;
    int64_t first = now / c->period_ns * c->points +
                    first_after(c->at_ns, c->points, now % c->period_ns - 1);
    if (lane->next_opportunity < first)
        lane->next_opportunity = first;
    int64_t index = lane->next_opportunity++;
    return index / c->points * c->period_ns + c->at_ns[index % c->points];
}

static void serve(struct lane *lane, int64_t now, int64_t bytes, int64_t *start, int64_t *end)
{
    const struct capacity *c = &lane->capacity;
    int64_t work = bytes * 8 * NS;
    *start = lane->busy_until_ns > now ? lane->busy_until_ns : now;
    if (c->kind == CONSTANT) {
        *end = *start + (work + c->rate_bps - 1) / c->rate_bps;
    } else if (c->kind == STEPS) {
        *end = steps_end(c, *start, work);
    } else { /* it waits until it may leave, and service takes no time */
        int64_t at = take_opportunity(lane, now);
        *start = *end = at > lane->busy_until_ns ? at : lane->busy_until_ns + 1;
    }
}

static void push(struct lane *lane, int64_t start_ns, int64_t bytes)
{
    if (lane->tail - lane->head == lane->ring_size) {
        uint64_t size = lane->ring_size ? 2 * lane->ring_size : 64;
        struct waiting *ring = malloc(size * sizeof *ring);
        if (ring == NULL) {
            fprintf(stderr, "relay: no memory for a queue of %llu packets; ask for a shorter one\n",
                    (unsigned long long)size);
            exit(3);
        }
        for (uint64_t i = lane->head; i != lane->tail; i++)
            ring[i & (size - 1)] = lane->ring[i & (lane->ring_size - 1)];
        free(lane->ring);
        lane->ring = ring;
        lane->ring_size = size;
    }
    lane->ring[lane->tail++ & (lane->ring_size - 1)] = (struct waiting){start_ns, bytes};
    lane->waiting_bytes += bytes;
}

static void settle(struct lane *lane, int64_t now_ns)
{
    while (lane->head != lane->tail) {
        struct waiting *oldest = &lane->ring[lane->head & (lane->ring_size - 1)];
        if (oldest->start_ns > now_ns)
            break;
        lane->waiting_bytes -= oldest->bytes;
        lane->head++;
    }
}

void lane_look(const struct lane *lane, int64_t now_ns, int64_t *packets, int64_t *bytes)
{
    *packets = *bytes = 0;
    for (uint64_t i = lane->tail; i != lane->head; i--) { /* the newest first: starts only fall */
        const struct waiting *one = &lane->ring[(i - 1) & (lane->ring_size - 1)];
        if (one->start_ns <= now_ns)
            break;
        (*packets)++;
        *bytes += one->bytes;
    }
}

static bool is_full(const struct lane *lane, int64_t bytes)
{
    if (lane->limit_packets > 0)
        return (int64_t)(lane->tail - lane->head) >= lane->limit_packets;
    return lane->waiting_bytes + bytes > lane->limit_bytes;
}

enum verdict lane_arrive(struct lane *lane, int64_t now_ns, int64_t bytes, int64_t *deliver_ns)
{
    int64_t start, end;
    if (now_ns < lane->last_arrival_ns)
        now_ns = lane->last_arrival_ns;
    lane->last_arrival_ns = now_ns;
    if (is_lost(lane))
        return LOST;
    settle(lane, now_ns);
    bool idle = lane->busy_until_ns <= now_ns && lane->head == lane->tail;
    if (!idle && is_full(lane, bytes))
        return DROPPED;
    serve(lane, now_ns, bytes, &start, &end);
    lane->busy_until_ns = end;
    lane->last_wait_ns = start - now_ns;
    if (start > now_ns)
        push(lane, start, bytes);
    *deliver_ns = end + lane->delay_ns;
    return DELIVER;
}
