// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
/* The kernel's CUBIC behind eBPF: every callback calls the kernel's own function and nothing else.
 *
 * What this costs per ACK is the least that any CUBIC by struct_ops can cost, so it is what the
 * datapath is held against. The callbacks are those of `struct tcp_congestion_ops cubictcp` in Linux.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "config.h"

char LICENSE[] SEC("license") = "GPL";

extern void cubictcp_init(struct sock *sk) __ksym;
extern u32 cubictcp_recalc_ssthresh(struct sock *sk) __ksym;
extern void cubictcp_cong_avoid(struct sock *sk, u32 ack, u32 acked) __ksym;
extern void cubictcp_state(struct sock *sk, u8 new_state) __ksym;
extern void cubictcp_cwnd_event(struct sock *sk, enum tcp_ca_event event) __ksym;
extern void cubictcp_acked(struct sock *sk, const struct ack_sample *sample) __ksym;
extern u32 tcp_reno_undo_cwnd(struct sock *sk) __ksym;

SEC("struct_ops/hook_init")
void BPF_PROG(hook_init, struct sock *sk)
{
	cubictcp_init(sk);
}

SEC("struct_ops/hook_ssthresh")
u32 BPF_PROG(hook_ssthresh, struct sock *sk)
{
	return cubictcp_recalc_ssthresh(sk);
}

SEC("struct_ops/hook_avoid")
void BPF_PROG(hook_avoid, struct sock *sk, u32 ack, u32 acked)
{
	cubictcp_cong_avoid(sk, ack, acked);
}

SEC("struct_ops/hook_state")
void BPF_PROG(hook_state, struct sock *sk, u8 new_state)
{
	cubictcp_state(sk, new_state);
}

SEC("struct_ops/hook_event")
void BPF_PROG(hook_event, struct sock *sk, enum tcp_ca_event event)
{
	cubictcp_cwnd_event(sk, event);
}

SEC("struct_ops/hook_acked")
void BPF_PROG(hook_acked, struct sock *sk, const struct ack_sample *sample)
{
	cubictcp_acked(sk, sample);
}

SEC("struct_ops/hook_undo")
u32 BPF_PROG(hook_undo, struct sock *sk)
{
	return tcp_reno_undo_cwnd(sk);
}

SEC(".struct_ops")
struct tcp_congestion_ops hooks = {
	.init = (void *)hook_init,
	.ssthresh = (void *)hook_ssthresh,
	.cong_avoid = (void *)hook_avoid,
	.set_state = (void *)hook_state,
	.cwnd_event = (void *)hook_event,
	.pkts_acked = (void *)hook_acked,
	.undo_cwnd = (void *)hook_undo,
	.name = HOOKS_NAME,
};
