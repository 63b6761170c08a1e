// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
/* Congestion control by a rate per monitor interval, inside Linux (struct tcp_congestion_ops).
 *
 * What `policies.congestion.steering` does in the simulator, a TCP sender does here: it paces at a
 * rate, counts monitor intervals, and at the end of each changes the rate by a rule's action
 * (RULE_MODE), or tells an agent in user space, which sets the rate. The window is kept out of the
 * way. config.h, inputs_table.h and rule.h are generated; vmlinux.h by bpftool from the kernel.
 *
 * Nothing but ACKs wakes this program, so an interval ends at the first ACK when it is due, and
 * counts that ACK: it begins and ends with an ACK, and n ACKs of it span n gaps.
 */
#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "config.h"
#include "tell.h"
#if RULE_MODE
#include "rule.h"
#endif

char LICENSE[] SEC("license") = "GPL";

#define IPV6 10
#define ETHERNET_BYTES 14
#define NO_THRESHOLD 0x7fffffff
#define REORDERED 3 /* after so many later deliveries a packet counts as lost (RFC 5681) */
#define LEAST_WINDOW 64
#define MOST_WINDOW (1U << 24)

/* Set pacing and window. The kernel paces payload, the rate is of whole packets. A window of 4
 * rate x RTT never binds before a queue of three times the path's RTT was built up within one RTT.
 */
static __always_inline void apply(struct sock *sk, struct dp_flow *f)
{
	struct tcp_sock *tp = tcp(sk);
	const u64 payload = f->payload_bytes ? f->payload_bytes : 1;
	const u64 packet = f->packet_bytes ? f->packet_bytes : 1;
	const u64 bytes = (f->rate >> Q_BPS) * payload / (8 * packet);
	const u64 rtt_us = at_most(tp->srtt_us >> 3, MOST_RTT_US);
	const u64 window = 4 * bytes * rtt_us / (1000000 * payload) + LEAST_WINDOW;

	sk->sk_pacing_rate = bytes ? bytes : 1;
	sk->sk_pacing_status = SK_PACING_NEEDED;
	f->cwnd = f->window ? f->window : (u32)at_most(window, MOST_WINDOW);
	f->applied = f->rate;
	tp->snd_cwnd = f->cwnd;
	tp->snd_ssthresh = NO_THRESHOLD;
}

static __always_inline void begin_interval(struct sock *sk, struct dp_flow *f, u64 now_us)
{
	struct dp_interval *v = slot(f, f->number);

	open_interval(v, f->number, now_us, f->rate >> Q_BPS);
	v->delivered_before = tcp(sk)->delivered;
	f->sent_before = tcp(sk)->data_segs_out;
	f->lost_before = tcp(sk)->lost;
	if (TELL_STARTS)
		tell(sk, f, f->number, TOLD_STARTED, now_us);
}

static __always_inline void act(struct dp_flow *f)
{
#if RULE_MODE
	f->action = within(decide_on(&f->memory), -(1LL << Q_UNIT), 1LL << Q_UNIT);
	f->acted = 1;
	const u64 rate = scaled(f->rate, power_of_two((f->action * STEP_LOG2) >> Q_UNIT));
	f->rate = rate < LEAST_RATE ? LEAST_RATE : at_most(rate, MOST_RATE);
#endif
}

/* `update_inputs` as a global function, which the verifier looks at once and alone. */
__noinline int renew_inputs(struct dp_memory *m, struct dp_interval *v)
{
	if (m && v)
		update_inputs(m, v);
	return 0;
}

/* `steering.take_in`: the memory always, the table of inputs once the warm-up is over. */
static __always_inline void take_in(struct dp_flow *f, struct dp_interval *v)
{
	struct dp_memory *m = &f->memory;

	account(m, v, 8 * f->packet_bytes);
	if (m->mean_rtt) {
		f->planned_us = ((m->mean_rtt >> 8) * INTERVAL_RTTS) >> (8 + Q_RTT);
		if (!f->planned_us)
			f->planned_us = 1;
	}
	if (!f->warmup_left)
		renew_inputs(m, v);
	else if (FIRST_INTERVAL_KNOWN || m->mean_rtt)
		f->warmup_left--;
}

static __noinline int report(struct sock *sk, struct dp_flow *f, u32 number, u64 now_us)
{
	f->acted = 0;
	if (RULE_MODE) {
		take_in(f, slot(f, number));
		if (!f->warmup_left)
			act(f);
	}
	tell(sk, f, number, TOLD_INTERVAL, now_us);
	f->oldest = number + 1;
	return 0;
}

/* Report ended intervals whose packets have all met their fate (attribution by sending).
 * `newest` is how many packets had been delivered when the newest acknowledged one was sent.
 */
static __always_inline void report_settled(struct sock *sk, struct dp_flow *f, u32 newest, u64 now_us)
{
	for (int i = 0; i < OPEN; i++) {
		struct dp_interval *v = slot(f, f->oldest);
		if (f->oldest == f->number || !v->end_us)
			return;
		const u32 after = slot(f, f->oldest + 1)->delivered_before;
		const int full = f->number - f->oldest >= OPEN - 1;
		if (v->acked < v->sent && (s32)(newest - after) < REORDERED && !full)
			return;
		v->acked = v->acked < v->sent ? v->acked : v->sent;
		v->lost = v->sent - v->acked;
		report(sk, f, f->oldest, now_us);
	}
}

static __always_inline int is_due(struct sock *sk, const struct dp_flow *f, u64 now_us)
{
	const u32 sent = tcp(sk)->data_segs_out - f->sent_before;
	const u32 wanted = BY_SENT && !f->packets ? 1 : f->packets;

	return sent >= wanted && now_us - slot((struct dp_flow *)f, f->number)->start_us >= f->planned_us;
}

static __noinline int end_interval(struct sock *sk, struct dp_flow *f, u32 newest, u64 now_us)
{
	struct dp_interval *v = slot(f, f->number);

	v->end_us = now_us;
	v->sent = tcp(sk)->data_segs_out - f->sent_before;
	if (!BY_SENT) {
		v->lost = tcp(sk)->lost - f->lost_before;
		report(sk, f, f->number, now_us);
	}
	f->number++;
	slot(f, f->number)->delivered_before = tcp(sk)->delivered;
	if (BY_SENT)
		report_settled(sk, f, newest, now_us);
	begin_interval(sk, f, now_us);
	return 0;
}

/* The interval that an acknowledged packet counts in: by when it was sent, or the running one. */
static __always_inline struct dp_interval *interval_of(struct dp_flow *f, u32 newest)
{
	u32 number = f->number;

	if (!BY_SENT)
		return slot(f, number);
	for (int i = 0; i < OPEN - 1; i++) {
		if (number == f->oldest || (s32)(newest - slot(f, number)->delivered_before) >= 0)
			break;
		number--;
	}
	return slot(f, number);
}

static __always_inline void count_ack(struct dp_flow *f, const struct rate_sample *rs, u64 now_us)
{
	struct dp_interval *v = interval_of(f, rs->prior_delivered);

	if (rs->rtt_us > 0) {
		f->last_rtt_us = (u32)at_most(rs->rtt_us, MOST_RTT_US);
		if (!f->memory.min_rtt_us || f->last_rtt_us < f->memory.min_rtt_us)
			f->memory.min_rtt_us = f->last_rtt_us;
	}
	if (rs->acked_sacked && f->last_rtt_us)
		add_ack(v, now_us, rs->acked_sacked, f->last_rtt_us);
	v->app_limited += rs->is_app_limited;
}

static __always_inline void follow_agent(struct dp_flow *f)
{
	const struct dp_steer *s = bpf_map_lookup_elem(&steers, &f->id);

	if (!s || s->turn == f->turn)
		return;
	f->turn = s->turn;
	f->window = s->window;
	f->packets = s->packets;
	f->applied = 0;
	if (s->interval_us)
		f->planned_us = s->interval_us;
	if (s->rate_bps)
		f->rate = at_most(s->rate_bps, MOST_RATE >> Q_BPS) << Q_BPS;
	slot(f, f->number)->rate_bps = f->rate >> Q_BPS;
}

SEC("struct_ops/rate_control")
void BPF_PROG(rate_control, struct sock *sk, u32 ack, int flag, const struct rate_sample *rs)
{
	struct dp_flow *f = flow_of(sk);

	if (!f)
		return;
	const u64 now_us = tcp(sk)->tcp_mstamp;
	const u32 newest = rs->prior_delivered;
	if (!RULE_MODE)
		follow_agent(f);
	count_ack(f, rs, now_us);
	if (BY_SENT)
		report_settled(sk, f, newest, now_us);
	const int due = is_due(sk, f, now_us);
	if (due)
		end_interval(sk, f, newest, now_us);
	/* Most ACKs change nothing, and three divisions are most of what such an ACK would cost. The
	 * kernel sets the window where a program was left out or a time-out came.
	 */
	if (due || f->applied != f->rate || tcp(sk)->snd_cwnd != f->cwnd)
		apply(sk, f);
}

SEC("struct_ops/rate_init")
void BPF_PROG(rate_init, struct sock *sk)
{
	struct dp_flow *f = bpf_sk_storage_get(&flows, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);

	if (!f)
		return;
	const u64 now_us = bpf_ktime_get_ns() / 1000;
	const u32 ip_bytes = sk->__sk_common.skc_family == IPV6 ? 40 : 20;
	f->id = __sync_fetch_and_add(&flow_count, 1);
	f->payload_bytes = tcp(sk)->mss_cache;
	f->packet_bytes = f->payload_bytes + tcp(sk)->tcp_header_len + ip_bytes + ETHERNET_BYTES;
	f->number = f->oldest = f->last_rtt_us = f->window = 0;
	f->turn = 0;
	f->action = 0;
	f->acted = f->serial = 0;
	f->warmup_left = WARMUP_INTERVALS;
	f->planned_us = FIRST_INTERVAL_US;
	f->packets = LEAST_PACKETS;
	f->rate = START_BPS ? START_BPS : 8ULL * f->packet_bytes * INITIAL_WINDOW * 10;
	f->rate = within(f->rate, LEAST_RATE >> Q_BPS, MOST_RATE >> Q_BPS) << Q_BPS;
	begin_inputs(&f->memory);
	if (RULE_MODE && !f->warmup_left)
		act(f);
	open_interval(slot(f, 0), 0, now_us, f->rate >> Q_BPS);
	tell(sk, f, 0, TOLD_BEGAN, now_us);
	begin_interval(sk, f, now_us);
	apply(sk, f);
}

/* The first interval begins with the first packet, however long the connection has been idle. */
SEC("struct_ops/rate_event")
void BPF_PROG(rate_event, struct sock *sk, enum tcp_ca_event event)
{
	struct dp_flow *f = flow_of(sk);

	if (f && event == CA_EVENT_TX_START && !f->number && !slot(f, 0)->acked)
		slot(f, 0)->start_us = bpf_ktime_get_ns() / 1000;
}

/* A time-out sets the window to one packet; a sender that is steered by rates goes on. */
SEC("struct_ops/rate_state")
void BPF_PROG(rate_state, struct sock *sk, u8 state)
{
	struct dp_flow *f = flow_of(sk);

	if (f && state == TCP_CA_Loss)
		apply(sk, f);
}

SEC("struct_ops/rate_release")
void BPF_PROG(rate_release, struct sock *sk)
{
	struct dp_flow *f = flow_of(sk);

	if (!f)
		return;
	tell(sk, f, f->number, TOLD_ENDED, bpf_ktime_get_ns() / 1000);
	bpf_map_delete_elem(&steers, &f->id);
}

SEC("struct_ops/rate_ssthresh")
u32 BPF_PROG(rate_ssthresh, struct sock *sk)
{
	return NO_THRESHOLD;
}

SEC("struct_ops/rate_undo")
u32 BPF_PROG(rate_undo, struct sock *sk)
{
	return tcp(sk)->snd_cwnd;
}

/* No min_tso_segs: where a kernel leaves out programs in some contexts, what a skipped program
 * returns is undefined, and the kernel sends so many packets at once (docs/datapath.md).
 */
SEC(".struct_ops")
struct tcp_congestion_ops rate = {
	.init = (void *)rate_init,
	.release = (void *)rate_release,
	.ssthresh = (void *)rate_ssthresh,
	.undo_cwnd = (void *)rate_undo,
	.set_state = (void *)rate_state,
	.cwnd_event = (void *)rate_event,
	.cong_control = (void *)rate_control,
	.name = DATAPATH_NAME,
};
