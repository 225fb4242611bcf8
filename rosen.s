	.file	"<string>"
	.section	.rodata.cst8,"aM",@progbits,8
	.p2align	3, 0x0
.LCPI0_0:
	.quad	0x3ff0000000000000
.LCPI0_1:
	.quad	0x4069000000000000
.LCPI0_2:
	.quad	0x4000000000000000
.LCPI0_3:
	.quad	0x8000000000000000
	.text
	.p2align	4
	.type	loss_grad.part.1,@function
loss_grad.part.1:
	vmovsd	(%rdi), %xmm0
	vmovsd	8(%rdi), %xmm1
	vmovsd	.LCPI0_0(%rip), %xmm2
	vmovsd	.LCPI0_1(%rip), %xmm3
	xorl	%eax, %eax
	vfnmadd231sd	%xmm0, %xmm0, %xmm1
	vsubsd	%xmm0, %xmm2, %xmm2
	vmovsd	%xmm1, (%r8)
	vmulsd	%xmm3, %xmm1, %xmm1
	vmovsd	%xmm2, 8(%r8)
	movq	$0, 64(%r8)
	vmulsd	%xmm0, %xmm1, %xmm0
	vfmadd132sd	.LCPI0_2(%rip), %xmm0, %xmm2
	vaddsd	%xmm0, %xmm2, %xmm0
	vxorpd	.LCPI0_3(%rip){1to2}, %xmm0, %xmm0
	vmovlpd	%xmm0, (%rdx)
	vmovsd	799984(%rdi), %xmm0
	vfnmadd213sd	799992(%rdi), %xmm0, %xmm0
	vmulsd	%xmm3, %xmm0, %xmm0
	vmovsd	%xmm0, 799992(%rdx)
	retq
.Lfunc_end0:
	.size	loss_grad.part.1, .Lfunc_end0-loss_grad.part.1

	.section	.rodata.cst8,"aM",@progbits,8
	.p2align	3, 0x0
.LCPI1_0:
	.quad	0x3ff0000000000000
.LCPI1_1:
	.quad	0x4059000000000000
.LCPI1_2:
	.quad	0x4069000000000000
.LCPI1_3:
	.quad	0x4000000000000000
	.section	.rodata,"a",@progbits
	.p2align	6, 0x0
.LCPI1_4:
	.quad	8
	.quad	9
	.quad	10
	.quad	11
	.quad	12
	.quad	13
	.quad	14
	.quad	15
.LCPI1_5:
	.quad	0
	.quad	1
	.quad	2
	.quad	3
	.quad	4
	.quad	5
	.quad	6
	.quad	7
	.text
	.p2align	4
	.type	loss_grad.task.2,@function
loss_grad.task.2:
	movq	%r9, %r11
	shlq	$11, %r11
	movl	$99998, %eax
	vxorpd	%xmm0, %xmm0, %xmm0
	leaq	2048(%r11), %rsi
	cmpq	$99998, %rsi
	cmovlq	%rsi, %rax
	cmpq	%rax, %r11
	jge	.LBB1_9
	pushq	%rbx
	movl	%eax, %esi
	andl	$14, %esi
	vbroadcastsd	.LCPI1_0(%rip), %zmm1
	vbroadcastsd	.LCPI1_1(%rip), %zmm2
	vbroadcastsd	.LCPI1_2(%rip), %zmm3
	vbroadcastsd	.LCPI1_3(%rip), %zmm4
	movq	%rax, %r8
	andq	$-368, %r8
	vxorpd	%xmm0, %xmm0, %xmm0
	vpbroadcastq	%rsi, %zmm5
	vpcmpgtq	.LCPI1_4(%rip), %zmm5, %k1
	vpcmpgtq	.LCPI1_5(%rip), %zmm5, %k2
	jmp	.LBB1_2
	.p2align	4
.LBB1_7:
	vaddpd	%zmm6, %zmm5, %zmm5
	movq	%r10, %r11
	vextractf32x4	$2, %zmm5, %xmm6
	vextractf128	$1, %ymm5, %xmm8
	vextractf32x4	$3, %zmm5, %xmm9
	vaddsd	%xmm6, %xmm5, %xmm7
	vshufpd	$1, %xmm5, %xmm5, %xmm5
	vshufpd	$1, %xmm6, %xmm6, %xmm6
	vaddsd	%xmm9, %xmm8, %xmm10
	vaddsd	%xmm6, %xmm5, %xmm5
	vshufpd	$1, %xmm8, %xmm8, %xmm6
	vshufpd	$1, %xmm9, %xmm9, %xmm8
	vaddsd	%xmm6, %xmm8, %xmm6
	vaddsd	%xmm7, %xmm10, %xmm7
	vaddsd	%xmm6, %xmm5, %xmm5
	vaddsd	%xmm5, %xmm7, %xmm5
	vaddsd	%xmm5, %xmm0, %xmm0
	cmpq	%rax, %r10
	jge	.LBB1_8
.LBB1_2:
	leaq	1024(%r11), %r10
	movq	%r8, %rbx
	vpxor	%xmm5, %xmm5, %xmm5
	vxorpd	%xmm6, %xmm6, %xmm6
	cmpq	%r8, %r10
	cmovlq	%r10, %rbx
	cmpq	%rbx, %r11
	jge	.LBB1_5
	.p2align	4
.LBB1_3:
	vmovupd	8(%rdi,%r11,8), %zmm8
	vmovupd	16(%rdi,%r11,8), %zmm12
	vmovupd	72(%rdi,%r11,8), %zmm10
	vmovupd	80(%rdi,%r11,8), %zmm11
	vmovupd	(%rdi,%r11,8), %zmm7
	vmovupd	64(%rdi,%r11,8), %zmm9
	vfnmadd231pd	%zmm10, %zmm10, %zmm11
	vfnmadd231pd	%zmm8, %zmm8, %zmm12
	vsubpd	%zmm10, %zmm1, %zmm14
	vfnmadd213pd	%zmm8, %zmm7, %zmm7
	vfnmadd213pd	%zmm10, %zmm9, %zmm9
	vsubpd	%zmm8, %zmm1, %zmm13
	vmulpd	%zmm14, %zmm14, %zmm17
	vmulpd	%zmm2, %zmm12, %zmm15
	vmulpd	%zmm2, %zmm11, %zmm16
	vmulpd	%zmm3, %zmm9, %zmm9
	vmulpd	%zmm3, %zmm7, %zmm7
	vmulpd	%zmm11, %zmm16, %zmm16
	vmulpd	%zmm12, %zmm15, %zmm15
	vmulpd	%zmm3, %zmm12, %zmm12
	vmulpd	%zmm3, %zmm11, %zmm11
	vaddpd	%zmm17, %zmm16, %zmm16
	vmulpd	%zmm10, %zmm11, %zmm10
	vmulpd	%zmm8, %zmm12, %zmm8
	vfmadd213pd	%zmm10, %zmm4, %zmm14
	vaddpd	%zmm16, %zmm6, %zmm6
	vmulpd	%zmm13, %zmm13, %zmm16
	vfmadd213pd	%zmm8, %zmm4, %zmm13
	vaddpd	%zmm16, %zmm15, %zmm15
	vaddpd	%zmm10, %zmm14, %zmm10
	vaddpd	%zmm8, %zmm13, %zmm8
	vaddpd	%zmm15, %zmm5, %zmm5
	vsubpd	%zmm10, %zmm9, %zmm9
	vsubpd	%zmm8, %zmm7, %zmm7
	vmovupd	%zmm9, 72(%rdx,%r11,8)
	vmovupd	%zmm7, 8(%rdx,%r11,8)
	addq	$16, %r11
	cmpq	%rbx, %r11
	jl	.LBB1_3
.LBB1_5:
	cmpq	%rax, %r10
	setl	%r11b
	testq	%rsi, %rsi
	sete	%bl
	orb	%r11b, %bl
	jne	.LBB1_7
	vmovupd	72(%rdi,%r8,8), %zmm8 {%k1} {z}
	vmovupd	80(%rdi,%r8,8), %zmm10 {%k1} {z}
	vmovupd	8(%rdi,%r8,8), %zmm7 {%k2} {z}
	vmovupd	16(%rdi,%r8,8), %zmm9 {%k2} {z}
	vfnmadd231pd	%zmm8, %zmm8, %zmm10
	vsubpd	%zmm8, %zmm1, %zmm12
	vfnmadd231pd	%zmm7, %zmm7, %zmm9
	vsubpd	%zmm7, %zmm1, %zmm11
	vmulpd	%zmm12, %zmm12, %zmm15
	vmulpd	%zmm11, %zmm11, %zmm16
	vmulpd	%zmm2, %zmm10, %zmm14
	vmulpd	%zmm2, %zmm9, %zmm13
	vmulpd	%zmm10, %zmm14, %zmm14
	vmulpd	%zmm9, %zmm13, %zmm13
	vmulpd	%zmm3, %zmm9, %zmm9
	vmulpd	%zmm3, %zmm10, %zmm10
	vaddpd	%zmm15, %zmm14, %zmm14
	vmovupd	64(%rdi,%r8,8), %zmm15 {%k1} {z}
	vaddpd	%zmm16, %zmm13, %zmm13
	vaddpd	%zmm14, %zmm6, %zmm6 {%k1}
	vmovupd	(%rdi,%r8,8), %zmm14 {%k2} {z}
	vaddpd	%zmm13, %zmm5, %zmm5 {%k2}
	vfnmadd213pd	%zmm8, %zmm15, %zmm15
	vmulpd	%zmm8, %zmm10, %zmm8
	vfnmadd213pd	%zmm7, %zmm14, %zmm14
	vmulpd	%zmm7, %zmm9, %zmm7
	vfmadd213pd	%zmm8, %zmm4, %zmm12
	vmulpd	%zmm3, %zmm15, %zmm13
	vfmadd213pd	%zmm7, %zmm4, %zmm11
	vaddpd	%zmm8, %zmm12, %zmm8
	vmulpd	%zmm3, %zmm14, %zmm14
	vaddpd	%zmm7, %zmm11, %zmm7
	vsubpd	%zmm8, %zmm13, %zmm8
	vsubpd	%zmm7, %zmm14, %zmm7
	vmovupd	%zmm8, 72(%rdx,%r8,8) {%k1}
	vmovupd	%zmm7, 8(%rdx,%r8,8) {%k2}
	jmp	.LBB1_7
.LBB1_8:
	popq	%rbx
.LBB1_9:
	xorl	%eax, %eax
	vmovsd	%xmm0, (%rcx,%r9,8)
	vzeroupper
	retq
.Lfunc_end1:
	.size	loss_grad.task.2, .Lfunc_end1-loss_grad.task.2

	.p2align	4
	.type	loss_grad.task.2.run,@function
loss_grad.task.2.run:
	pushq	%rbx
	movq	%rdi, %rbx
	movq	%rsi, %r9
	movq	(%rdi), %rdi
	movq	8(%rbx), %rsi
	movq	16(%rbx), %rdx
	movq	24(%rbx), %rcx
	movq	32(%rbx), %r8
	callq	loss_grad.task.2
	testq	%rax, %rax
	je	.LBB2_3
	movq	%rax, %rcx
	movq	40(%rbx), %rax
	.p2align	4
.LBB2_2:
	cmpq	%rcx, %rax
	movq	%rcx, %rdx
	cmovaq	%rax, %rdx
	lock		cmpxchgq	%rdx, 40(%rbx)
	jne	.LBB2_2
.LBB2_3:
	popq	%rbx
	retq
.Lfunc_end2:
	.size	loss_grad.task.2.run, .Lfunc_end2-loss_grad.task.2.run

	.section	.rodata.cst8,"aM",@progbits,8
	.p2align	3, 0x0
.LCPI3_0:
	.quad	0x4059000000000000
	.text
	.p2align	4
	.type	loss_grad.part.3,@function
loss_grad.part.3:
	vmovsd	(%r8), %xmm0
	vmovsd	8(%r8), %xmm1
	movq	$-1, %rax
	.p2align	4
.LBB3_1:
	vmovsd	64(%r8), %xmm2
	vaddsd	8(%rcx,%rax,8), %xmm2, %xmm2
	incq	%rax
	vmovsd	%xmm2, 64(%r8)
	cmpq	$48, %rax
	jb	.LBB3_1
	vmulsd	.LCPI3_0(%rip), %xmm0, %xmm2
	vmulsd	%xmm1, %xmm1, %xmm1
	xorl	%eax, %eax
	vmulsd	%xmm0, %xmm2, %xmm0
	vaddsd	%xmm1, %xmm0, %xmm0
	vaddsd	64(%r8), %xmm0, %xmm0
	vmovsd	%xmm0, (%rsi)
	retq
.Lfunc_end3:
	.size	loss_grad.part.3, .Lfunc_end3-loss_grad.part.3

	.globl	loss_grad.kernel
	.p2align	4
	.type	loss_grad.kernel,@function
loss_grad.kernel:
	pushq	%rbp
	movq	%rsp, %rbp
	pushq	%r15
	pushq	%r14
	pushq	%r13
	pushq	%r12
	pushq	%rbx
	andq	$-64, %rsp
	subq	$256, %rsp
	movq	%rdi, 80(%rsp)
	movq	%rdi, %r15
	movq	%rsi, 88(%rsp)
	movq	%rsi, %r13
	movq	%rdx, 96(%rsp)
	movq	%rdx, %r12
	movq	%rdx, 56(%rsp)
	leaq	128(%rsp), %rax
	leaq	loss_grad.calls(%rip), %rdi
	leaq	72(%rsp), %rdx
	movl	$2, %esi
	movq	%rcx, 104(%rsp)
	movq	%rcx, %r14
	movq	%rcx, 64(%rsp)
	movq	%rax, 112(%rsp)
	movq	$0, 120(%rsp)
	callq	gradc.threads@PLT
	leaq	128(%rsp), %r8
	movq	%rax, %rbx
	movq	%rax, 48(%rsp)
	movq	%r15, %rdi
	movq	%r13, %rsi
	movq	%r12, %rdx
	movq	%r14, %rcx
	callq	loss_grad.part.1
	leaq	loss_grad.task.2.run(%rip), %rdi
	leaq	loss_grad.site.2(%rip), %r8
	leaq	80(%rsp), %rsi
	movl	$49, %edx
	movq	%rbx, %rcx
	movq	%rax, %r12
	callq	gradc.parallel@PLT
	movq	120(%rsp), %r14
	movq	56(%rsp), %rdx
	movq	64(%rsp), %rcx
	leaq	128(%rsp), %r8
	movq	%r15, %rdi
	movq	%r13, %rsi
	cmpq	%r14, %r12
	cmovaq	%r12, %r14
	callq	loss_grad.part.3
	movq	48(%rsp), %rsi
	cmpq	%rax, %r14
	leaq	loss_grad.calls(%rip), %rdi
	leaq	72(%rsp), %rdx
	movq	%rax, %rbx
	cmovaq	%r14, %rbx
	callq	gradc.called@PLT
	movq	%rbx, %rax
	leaq	-40(%rbp), %rsp
	popq	%rbx
	popq	%r12
	popq	%r13
	popq	%r14
	popq	%r15
	popq	%rbp
	retq
.Lfunc_end4:
	.size	loss_grad.kernel, .Lfunc_end4-loss_grad.kernel

	.type	loss_grad.calls,@object
	.local	loss_grad.calls
	.comm	loss_grad.calls,40,64
	.type	loss_grad.site.2,@object
	.local	loss_grad.site.2
	.comm	loss_grad.site.2,40,64
	.section	".note.GNU-stack","",@progbits
