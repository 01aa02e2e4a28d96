// SPDX-License-Identifier: GPL-2.0
/*
 * Completes MOVDIR64B on processors that lack it, so that an unmodified driver
 * can submit to a device under QEMU's TCG. Test infrastructure.
 *
 * Load it before the driver, in a kernel booted with "setcpuid=movdir64b". An
 * invalid opcode trap on
 *
 *	66 [REX] 0F 38 F8 /r	MOVDIR64B r64, m512	(memory operand only)
 *
 * becomes eight 8-byte stores in ascending order. Real processors write the 64
 * bytes at once: here a device sees eight writes to an aligned 64-byte slot, at
 * +0 first and at +56 last, and those of two kernel instructions never mix.
 *
 * Kernel and user mode, every addressing form of 64-bit code; no address size
 * prefix and no segment override.
 *
 * With enqcmds=1 (boot with "setcpuid=movdir64b,enqcmd") ENQCMDS, F3 0F 38 F8
 * /r, is completed for the kernel too. Stores carry no answer, so the slot is
 * read behind them: the device says 0x00 there when it took the descriptor.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/io.h>
#include <linux/kdebug.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/ptrace.h>
#include <linux/spinlock.h>
#include <linux/uaccess.h>
#include <asm/processor-flags.h>
#include <asm/traps.h>

static unsigned long hits_kernel, hits_user, misses;
module_param(hits_kernel, ulong, 0444);
module_param(hits_user, ulong, 0444);
module_param(misses, ulong, 0444);
MODULE_PARM_DESC(hits_kernel, "64-byte stores made for the kernel");
MODULE_PARM_DESC(hits_user, "64-byte stores made for user space");
MODULE_PARM_DESC(misses, "invalid opcode traps passed on");

static bool do_enqcmds;
static unsigned long enqcmds_taken, enqcmds_retried;
/* Keeps the stores of one instruction together and with its read, and the counts exact. */
static DEFINE_RAW_SPINLOCK(store_lock);
module_param_named(enqcmds, do_enqcmds, bool, 0644);
module_param(enqcmds_taken, ulong, 0444);
module_param(enqcmds_retried, ulong, 0444);
MODULE_PARM_DESC(enqcmds, "emulate ENQCMDS too");
MODULE_PARM_DESC(enqcmds_taken, "ENQCMDS that the device took");
MODULE_PARM_DESC(enqcmds_retried, "ENQCMDS that the device answered with Retry");

#define INSN_MAX 15

struct insn_bits {
	u8 prefix;		/* 0x66 MOVDIR64B, 0xf3 ENQCMDS */
	unsigned int len;	/* length of the whole instruction */
	unsigned int dst;	/* register that holds the destination address */
	unsigned long src;	/* effective address of the memory operand */
};

static unsigned long *reg_slot(struct pt_regs *r, unsigned int n)
{
	switch (n & 15) {
	case 0: return &r->ax;
	case 1: return &r->cx;
	case 2: return &r->dx;
	case 3: return &r->bx;
	case 4: return &r->sp;
	case 5: return &r->bp;
	case 6: return &r->si;
	case 7: return &r->di;
	case 8: return &r->r8;
	case 9: return &r->r9;
	case 10: return &r->r10;
	case 11: return &r->r11;
	case 12: return &r->r12;
	case 13: return &r->r13;
	case 14: return &r->r14;
	default: return &r->r15;
	}
}

/* Whether @b, of which @avail bytes are there, starts with such an instruction. */
static bool decode(const u8 *b, unsigned int avail, struct pt_regs *r,
		   struct insn_bits *out)
{
	unsigned int i = 0, mod, rm, rex = 0, disp_size;
	bool rip_relative = false;
	unsigned long ea = 0;
	s32 disp = 0;

	if (avail < 5)
		return false;
	out->prefix = b[i++];
	if (out->prefix != 0x66 && out->prefix != 0xf3)
		return false;
	if ((b[i] & 0xf0) == 0x40)
		rex = b[i++];
	if (i + 4 > avail || b[i] != 0x0f || b[i + 1] != 0x38 || b[i + 2] != 0xf8)
		return false;
	i += 3;

	mod = b[i] >> 6;
	rm = b[i] & 7;
	out->dst = ((b[i] >> 3) & 7) | (rex & 4 ? 8 : 0);
	i++;
	if (mod == 3)
		return false;
	disp_size = mod == 1 ? 1 : mod == 2 ? 4 : 0;

	if (rm == 4) {				/* SIB byte */
		unsigned int scale, index, base;

		if (i >= avail)
			return false;
		scale = b[i] >> 6;
		index = ((b[i] >> 3) & 7) | (rex & 2 ? 8 : 0);
		base = b[i] & 7;
		i++;
		if (base == 5 && mod == 0)
			disp_size = 4;		/* no base register */
		else
			ea = *reg_slot(r, base | (rex & 1 ? 8 : 0));
		if (index != 4)
			ea += *reg_slot(r, index) << scale;
	} else if (rm == 5 && mod == 0) {
		disp_size = 4;
		rip_relative = true;
	} else {
		ea = *reg_slot(r, rm | (rex & 1 ? 8 : 0));
	}

	if (i + disp_size > avail)
		return false;
	if (disp_size == 1)
		disp = (s8)b[i];
	else if (disp_size == 4)
		disp = (s32)(b[i] | b[i + 1] << 8 | b[i + 2] << 16 |
			     (u32)b[i + 3] << 24);
	i += disp_size;

	ea += (long)disp;
	if (rip_relative)
		ea += r->ip + i;
	out->len = i;
	out->src = ea;
	return true;
}

static bool emulate_kernel(struct pt_regs *regs)
{
	struct insn_bits in;
	u64 data[8];
	u8 code[INSN_MAX];
	unsigned long dst, irqflags;
	int i;

	/* Near the end of a page fewer bytes may be readable: try long, then short. */
	if (copy_from_kernel_nofault(code, (void *)regs->ip, sizeof(code))) {
		memset(code, 0, sizeof(code));
		if (copy_from_kernel_nofault(code, (void *)regs->ip, 5))
			return false;
	}
	if (!decode(code, sizeof(code), regs, &in))
		return false;
	dst = *reg_slot(regs, in.dst);
	if (dst & 63)
		return false;			/* real hardware: #GP */
	if (copy_from_kernel_nofault(data, (void *)in.src, sizeof(data)))
		return false;

	if (in.prefix == 0xf3 && !do_enqcmds)
		return false;
	raw_spin_lock_irqsave(&store_lock, irqflags);
	for (i = 0; i < 8; i++)
		writeq(data[i], (void __iomem *)(dst + 8 * i));
	hits_kernel++;
	if (in.prefix == 0xf3) {
		regs->flags &= ~(X86_EFLAGS_CF | X86_EFLAGS_PF | X86_EFLAGS_AF |
				 X86_EFLAGS_ZF | X86_EFLAGS_SF | X86_EFLAGS_OF);
		if (readb((void __iomem *)dst)) {
			regs->flags |= X86_EFLAGS_ZF;
			enqcmds_retried++;
		} else {
			enqcmds_taken++;
		}
	}
	raw_spin_unlock_irqrestore(&store_lock, irqflags);
	regs->ip += in.len;
	return true;
}

/*
 * The notifier chain is an RCU read-side section, so page faults are not
 * served here: code, descriptor and destination must be resident (a mapped
 * portal always is). Otherwise the task gets its SIGILL.
 */
static bool emulate_user(struct pt_regs *regs)
{
	struct insn_bits in;
	u64 data[8];
	u8 code[INSN_MAX] = {};
	unsigned long dst, left;
	bool ok = false;
	int i;

	if (!user_64bit_mode(regs) ||
	    !access_ok((void __user *)regs->ip, sizeof(code)))
		return false;

	pagefault_disable();
	left = __copy_from_user_inatomic(code, (void __user *)regs->ip,
					 sizeof(code));
	if (!decode(code, sizeof(code) - left, regs, &in) || in.prefix != 0x66)
		goto out;
	dst = *reg_slot(regs, in.dst);
	if (dst & 63 || !access_ok((void __user *)dst, 64) ||
	    !access_ok((void __user *)in.src, 64) ||
	    __copy_from_user_inatomic(data, (void __user *)in.src, sizeof(data)))
		goto out;
	for (i = 0; i < 8; i++)
		if (__put_user(data[i], (u64 __user *)(dst + 8 * i)))
			goto out;
	regs->ip += in.len;
	ok = true;
out:
	pagefault_enable();
	return ok;
}

static int on_die(struct notifier_block *nb, unsigned long event, void *arg)
{
	struct die_args *a = arg;

	if (event != DIE_TRAP || a->trapnr != X86_TRAP_UD)
		return NOTIFY_DONE;
	if (user_mode(a->regs)) {
		if (emulate_user(a->regs)) {
			hits_user++;
			return NOTIFY_STOP;
		}
	} else if (emulate_kernel(a->regs)) {
		return NOTIFY_STOP;
	}
	misses++;
	return NOTIFY_DONE;
}

static struct notifier_block die_nb = {
	.notifier_call = on_die,
	.priority = INT_MAX,
};

static int __init emul_init(void)
{
	int rc = register_die_notifier(&die_nb);

	if (!rc)
		pr_info("emulating MOVDIR64B as 8 x 8-byte stores\n");
	return rc;
}

static void __exit emul_exit(void)
{
	unregister_die_notifier(&die_nb);
}

module_init(emul_init);
module_exit(emul_exit);
MODULE_DESCRIPTION("Emulate MOVDIR64B on #UD (test infrastructure)");
MODULE_LICENSE("GPL");
