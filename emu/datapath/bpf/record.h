/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* What the datapath tells user space; `emu.datapath.records` reads it. Times in us of one clock. */
#ifndef TRIPTYCH_RECORD_H
#define TRIPTYCH_RECORD_H

#include "inputs.h"

enum { TOLD_BEGAN, TOLD_STARTED, TOLD_INTERVAL, TOLD_ENDED }; /* kinds of record */

struct dp_record {
	u64 now_us;
	u64 start_us;
	u64 end_us;
	u64 rtt_sum_us;
	u64 first_half_us;
	u64 ack_span_us;
	s64 sum_x;
	s64 sum_y;
	s64 sum_xy;
	s64 sum_xx;
	u64 interval_rate_bps; /* when the interval began */
	u64 rate_bps;          /* from now on */
	u64 next_us;           /* planned length of the interval that begins now */
	s64 action;            /* Q_UNIT */
	s64 table[INPUT_COUNT];
	u32 kind;
	u32 flow;
	u32 id;
	u32 sent;
	u32 acked;
	u32 lost;
	u32 least_rtt_us;
	u32 min_rtt_us;
	u32 srtt_us;
	u32 packet_bytes;
	u32 payload_bytes;
	u32 ports; /* local << 16 | remote */
	u32 serial; /* of the flow's records: a gap is what the ring had no room for */
	u32 warmup_left;
	u32 app_limited;
	u32 acted; /* 1 where a rule decided */
};

_Static_assert(sizeof(struct dp_record) == RECORD_BYTES, "records.py has another layout");

/* What an agent sets; only fields above 0 count. */
struct dp_steer {
	u64 rate_bps;
	u64 interval_us;
	u32 packets;
	u32 window; /* 0: out of the way */
	u64 turn;   /* counts the agent's answers */
};

#endif
