// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
/* A window that never changes, and a callback per ACK that reads the clock READS times.
 *
 * With no reading it tells what calling a program costs. The kernel's statistics read the clock before
 * and after a program; what they count too much is about one reading, and what that takes is
 * the difference between many readings and none.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "config.h"

#define FAST 1000000000UL /* bytes/s */

char LICENSE[] SEC("license") = "GPL";

SEC("struct_ops/hook_init")
void BPF_PROG(hook_init, struct sock *sk)
{
	((struct tcp_sock *)sk)->snd_cwnd = WINDOW;
	sk->sk_pacing_rate = FAST; /* else TCP keeps few packets below the transport */
}

SEC("struct_ops/hook_control")
void BPF_PROG(hook_control, struct sock *sk, u32 ack, int flag, const struct rate_sample *rs)
{
	for (int i = 0; i < READS; i++)
		bpf_ktime_get_ns();
}

SEC("struct_ops/hook_ssthresh")
u32 BPF_PROG(hook_ssthresh, struct sock *sk)
{
	return WINDOW;
}

SEC("struct_ops/hook_undo")
u32 BPF_PROG(hook_undo, struct sock *sk)
{
	return WINDOW;
}

SEC(".struct_ops")
struct tcp_congestion_ops hooks = {
	.init = (void *)hook_init,
	.cong_control = (void *)hook_control,
	.ssthresh = (void *)hook_ssthresh,
	.undo_cwnd = (void *)hook_undo,
	.name = HOOKS_NAME,
};
