/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* The state of a flow, and the maps between kernel and user space. */
#ifndef TRIPTYCH_FLOW_H
#define TRIPTYCH_FLOW_H

#include "record.h"

#define OPEN 8 /* intervals that are not reported yet, at most; a power of two */
#define MOST_STEERED 1024
#define RING_BYTES (1U << 22)

struct dp_flow {
	u64 rate; /* Q_BPS */
	u64 applied; /* the rate that the socket paces at; 0: something else has changed */
	u64 planned_us;
	u64 turn; /* the last answer of the agent's that counted */
	s64 action;
	u32 id;
	u32 packets; /* an interval lasts until so many were sent */
	u32 window;  /* packets; 0: out of the way */
	u32 cwnd;    /* that was set */
	u32 sent_before; /* packets sent when the running interval began */
	u32 lost_before; /* and declared lost */
	u32 number;      /* of the running interval */
	u32 oldest;      /* that is not reported yet */
	u32 last_rtt_us;
	u32 warmup_left;
	u32 packet_bytes; /* of a whole packet, as in `FLOW`, and of its payload */
	u32 payload_bytes;
	u32 acted;
	u32 serial; /* of the last record */
	struct dp_memory memory;
	struct dp_interval open[OPEN];
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct dp_flow);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, RING_BYTES);
} told SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MOST_STEERED);
	__type(key, u32);
	__type(value, struct dp_steer);
} steers SEC(".maps");

u32 flow_count;

static __always_inline struct tcp_sock *tcp(const struct sock *sk)
{
	return (struct tcp_sock *)sk;
}

static __always_inline struct dp_interval *slot(struct dp_flow *f, u32 number)
{
	return &f->open[number & (OPEN - 1)];
}

static __always_inline struct dp_flow *flow_of(struct sock *sk)
{
	return bpf_sk_storage_get(&flows, sk, 0, 0);
}

#endif
