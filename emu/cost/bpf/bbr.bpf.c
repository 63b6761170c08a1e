// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
/* The kernel's BBR behind eBPF: every callback calls the kernel's own function and nothing else.
 *
 * But for `min_tso_segs`: what a skipped program would have returned is undefined (docs/datapath.md).
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "config.h"

char LICENSE[] SEC("license") = "GPL";

extern void bbr_init(struct sock *sk) __ksym;
extern void bbr_main(struct sock *sk, u32 ack, int flag, const struct rate_sample *rs) __ksym;
extern u32 bbr_sndbuf_expand(struct sock *sk) __ksym;
extern u32 bbr_undo_cwnd(struct sock *sk) __ksym;
extern void bbr_cwnd_event(struct sock *sk, enum tcp_ca_event event) __ksym;
extern u32 bbr_ssthresh(struct sock *sk) __ksym;
extern void bbr_set_state(struct sock *sk, u8 new_state) __ksym;

SEC("struct_ops/hook_init")
void BPF_PROG(hook_init, struct sock *sk)
{
	bbr_init(sk);
}

SEC("struct_ops/hook_control")
void BPF_PROG(hook_control, struct sock *sk, u32 ack, int flag, const struct rate_sample *rs)
{
	bbr_main(sk, ack, flag, rs);
}

SEC("struct_ops/hook_expand")
u32 BPF_PROG(hook_expand, struct sock *sk)
{
	return bbr_sndbuf_expand(sk);
}

SEC("struct_ops/hook_undo")
u32 BPF_PROG(hook_undo, struct sock *sk)
{
	return bbr_undo_cwnd(sk);
}

SEC("struct_ops/hook_event")
void BPF_PROG(hook_event, struct sock *sk, enum tcp_ca_event event)
{
	bbr_cwnd_event(sk, event);
}

SEC("struct_ops/hook_ssthresh")
u32 BPF_PROG(hook_ssthresh, struct sock *sk)
{
	return bbr_ssthresh(sk);
}

SEC("struct_ops/hook_state")
void BPF_PROG(hook_state, struct sock *sk, u8 new_state)
{
	bbr_set_state(sk, new_state);
}

SEC(".struct_ops")
struct tcp_congestion_ops hooks = {
	.init = (void *)hook_init,
	.cong_control = (void *)hook_control,
	.sndbuf_expand = (void *)hook_expand,
	.undo_cwnd = (void *)hook_undo,
	.cwnd_event = (void *)hook_event,
	.ssthresh = (void *)hook_ssthresh,
	.set_state = (void *)hook_state,
	.name = HOOKS_NAME,
};
