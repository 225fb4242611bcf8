@loss_grad.calls = internal global [5 x i64] zeroinitializer, align 64
@loss_grad.site.2 = internal global [5 x i64] zeroinitializer, align 64

define internal i64 @loss_grad.part.1(
    ptr noalias readonly dereferenceable(800000) align 8 %x,  ; f64[100000]
    ptr noalias dereferenceable(8) align 8 %result,  ; f64[]
    ptr noalias dereferenceable(800000) align 8 %d_x,  ; f64[100000]
    ptr noalias align 64 %.arena,  ; scratch memory: 392 bytes
    ptr noalias align 64 %.frame  ; what lives across parts
) noinline nounwind "prefer-vector-width"="512" {
.entry:
  %sum = getelementptr inbounds i8, ptr %.frame, i64 64
  %s1 = load double, ptr %x
  %.2 = fneg double %s1
  %.3 = getelementptr inbounds double, ptr %x, i64 1
  %.4 = load double, ptr %.3
  %a = call double @llvm.fma.f64(double %.2, double %s1, double %.4)
  %.6 = getelementptr inbounds i8, ptr %.frame, i64 0
  store double %a, ptr %.6
  %b = fsub double 1.0, %s1
  %.8 = getelementptr inbounds i8, ptr %.frame, i64 8
  store double %b, ptr %.8
  %d_a = fmul double 200.0, %a
  %s2 = fmul double %d_a, %s1
  %.11 = call double @llvm.fma.f64(double 2.0, double %b, double %s2)
  %.12 = fadd double %.11, %s2
  %.13 = fneg double %.12
  store double %.13, ptr %d_x
  %.14 = getelementptr inbounds double, ptr %x, i64 99998
  %s3 = load double, ptr %.14
  %.16 = fneg double %s3
  %.17 = getelementptr inbounds double, ptr %x, i64 99999
  %.18 = load double, ptr %.17
  %a_2 = call double @llvm.fma.f64(double %.16, double %s3, double %.18)
  %d_a_2 = fmul double 200.0, %a_2
  %.21 = getelementptr inbounds double, ptr %d_x, i64 99999
  store double %d_a_2, ptr %.21
  ; rosen.py:4: return np.sum(100.0 * a * a + b * b)
  store double 0.0, ptr %sum
  ret i64 0
}

define internal i64 @loss_grad.task.2(
    ptr noalias readonly dereferenceable(800000) align 8 %x,  ; f64[100000]
    ptr noalias dereferenceable(8) align 8 %result,  ; f64[]
    ptr noalias dereferenceable(800000) align 8 %d_x,  ; f64[100000]
    ptr noalias align 64 %.arena,  ; scratch memory: 392 bytes
    ptr noalias align 64 %.frame,  ; what lives across parts
    i64 %chunk  ; the iteration
) noinline nounwind "prefer-vector-width"="512" {
.entry:
  %sum_part = alloca [1 x double], align 64
  %sum_part_partial = alloca [16 x double], align 64
  %sum_parts = getelementptr inbounds i8, ptr %.arena, i64 0
  store double 0.0, ptr %sum_part
  %.1 = mul i64 %chunk, 2048
  %.2 = add i64 %.1, 2048
  %.3 = call i64 @llvm.smin.i64(i64 %.2, i64 99998)
  %.4 = icmp slt i64 %.1, %.3
  br i1 %.4, label %i_block.body, label %i_block.end
i_block.body:
  %i_block = phi i64 [ %.1, %.entry ], [ %i_block.step, %after ]
  store <16 x double> splat (double 0.0), ptr %sum_part_partial, align 8
  %.5 = add i64 %i_block, 1024
  %.6 = sub i64 %.3, %.1
  %.7 = and i64 %.6, 15
  %.8 = sub i64 %.3, %.7
  %.9 = call i64 @llvm.smin.i64(i64 %.5, i64 %.8)
  %.10 = icmp slt i64 %i_block, %.9
  br i1 %.10, label %i_group.body, label %i_group.end
i_group.body:
  %i_group = phi i64 [ %i_block, %i_block.body ], [ %i_group.step, %i_group.body ]
  %.11 = add i64 %i_group, 1
  %.12 = getelementptr inbounds double, ptr %x, i64 %.11
  %t1 = load <16 x double>, ptr %.12, align 8
  %.14 = fneg <16 x double> %t1
  %.15 = add i64 %i_group, 2
  %.16 = getelementptr inbounds double, ptr %x, i64 %.15
  %.17 = load <16 x double>, ptr %.16, align 8
  %a_i = call <16 x double> @llvm.fma.v16f64(<16 x double> %.14, <16 x double> %t1, <16 x double> %.17)
  %b_i = fsub <16 x double> splat (double 1.0), %t1
  %.20 = fmul <16 x double> splat (double 100.0), %a_i
  %.21 = fmul <16 x double> %.20, %a_i
  %.22 = fmul <16 x double> %b_i, %b_i
  %.23 = fadd <16 x double> %.21, %.22
  %.24 = load <16 x double>, ptr %sum_part_partial, align 8
  %.25 = fadd <16 x double> %.24, %.23
  store <16 x double> %.25, ptr %sum_part_partial, align 8
  %.26 = getelementptr inbounds double, ptr %x, i64 %i_group
  %t2 = load <16 x double>, ptr %.26, align 8
  %.28 = fneg <16 x double> %t2
  %a_i_2 = call <16 x double> @llvm.fma.v16f64(<16 x double> %.28, <16 x double> %t2, <16 x double> %t1)
  %d_a_i = fmul <16 x double> splat (double 200.0), %a_i
  %d_a_i_2 = fmul <16 x double> splat (double 200.0), %a_i_2
  %t3 = fmul <16 x double> %d_a_i, %t1
  %.33 = call <16 x double> @llvm.fma.v16f64(<16 x double> splat (double 2.0), <16 x double> %b_i, <16 x double> %t3)
  %.34 = fadd <16 x double> %.33, %t3
  %.35 = fneg <16 x double> %.34
  %.36 = fadd <16 x double> %.35, %d_a_i_2
  %.37 = getelementptr inbounds double, ptr %d_x, i64 %.11
  store <16 x double> %.36, ptr %.37, align 8
  %i_group.step = add nsw i64 %i_group, 16
  %.38 = icmp slt i64 %i_group.step, %.9
  br i1 %.38, label %i_group.body, label %i_group.end
i_group.end:
  %.39 = icmp sge i64 %.5, %.3
  br i1 %.39, label %then, label %after
then:
  %.40 = icmp slt i64 0, %.7
  br i1 %.40, label %lane.rest, label %lane.after
lane.rest:
  %.41 = sub i64 %.7, 0
  %.42 = insertelement <16 x i64> poison, i64 %.41, i64 0
  %.43 = shufflevector <16 x i64> %.42, <16 x i64> poison, <16 x i32> zeroinitializer
  %.44 = icmp slt <16 x i64> <i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7, i64 8, i64 9, i64 10, i64 11, i64 12, i64 13, i64 14, i64 15>, %.43
  %.45 = add i64 %.8, 1
  %.46 = getelementptr inbounds double, ptr %x, i64 %.45
  %t1.1 = call <16 x double> @llvm.masked.load.v16f64.p0(ptr %.46, i32 8, <16 x i1> %.44, <16 x double> zeroinitializer)
  %.48 = fneg <16 x double> %t1.1
  %.49 = add i64 %.8, 2
  %.50 = getelementptr inbounds double, ptr %x, i64 %.49
  %.51 = call <16 x double> @llvm.masked.load.v16f64.p0(ptr %.50, i32 8, <16 x i1> %.44, <16 x double> zeroinitializer)
  %a_i.1 = call <16 x double> @llvm.fma.v16f64(<16 x double> %.48, <16 x double> %t1.1, <16 x double> %.51)
  %b_i.1 = fsub <16 x double> splat (double 1.0), %t1.1
  %.54 = fmul <16 x double> splat (double 100.0), %a_i.1
  %.55 = fmul <16 x double> %.54, %a_i.1
  %.56 = fmul <16 x double> %b_i.1, %b_i.1
  %.57 = fadd <16 x double> %.55, %.56
  %.58 = load <16 x double>, ptr %sum_part_partial, align 8
  %.59 = fadd <16 x double> %.58, %.57
  %.60 = load <16 x double>, ptr %sum_part_partial, align 8
  %.61 = select <16 x i1> %.44, <16 x double> %.59, <16 x double> %.60
  store <16 x double> %.61, ptr %sum_part_partial, align 8
  %.62 = getelementptr inbounds double, ptr %x, i64 %.8
  %t2.1 = call <16 x double> @llvm.masked.load.v16f64.p0(ptr %.62, i32 8, <16 x i1> %.44, <16 x double> zeroinitializer)
  %.64 = fneg <16 x double> %t2.1
  %a_i_2.1 = call <16 x double> @llvm.fma.v16f64(<16 x double> %.64, <16 x double> %t2.1, <16 x double> %t1.1)
  %d_a_i.1 = fmul <16 x double> splat (double 200.0), %a_i.1
  %d_a_i_2.1 = fmul <16 x double> splat (double 200.0), %a_i_2.1
  %t3.1 = fmul <16 x double> %d_a_i.1, %t1.1
  %.69 = call <16 x double> @llvm.fma.v16f64(<16 x double> splat (double 2.0), <16 x double> %b_i.1, <16 x double> %t3.1)
  %.70 = fadd <16 x double> %.69, %t3.1
  %.71 = fneg <16 x double> %.70
  %.72 = fadd <16 x double> %.71, %d_a_i_2.1
  %.73 = getelementptr inbounds double, ptr %d_x, i64 %.45
  call void @llvm.masked.store.v16f64.p0(<16 x double> %.72, ptr %.73, i32 8, <16 x i1> %.44)
  br label %lane.after
lane.after:
  br label %after
after:
  %.74 = getelementptr inbounds double, ptr %sum_part_partial, i64 8
  %.75 = load <8 x double>, ptr %.74, align 8
  %.76 = load <8 x double>, ptr %sum_part_partial, align 8
  %.77 = fadd <8 x double> %.76, %.75
  store <8 x double> %.77, ptr %sum_part_partial, align 8
  %.78 = load double, ptr %sum_part_partial
  %.79 = getelementptr inbounds double, ptr %sum_part_partial, i64 4
  %.80 = load double, ptr %.79
  %.81 = fadd double %.78, %.80
  %.82 = getelementptr inbounds double, ptr %sum_part_partial, i64 2
  %.83 = load double, ptr %.82
  %.84 = getelementptr inbounds double, ptr %sum_part_partial, i64 6
  %.85 = load double, ptr %.84
  %.86 = fadd double %.83, %.85
  %.87 = fadd double %.81, %.86
  %.88 = getelementptr inbounds double, ptr %sum_part_partial, i64 1
  %.89 = load double, ptr %.88
  %.90 = getelementptr inbounds double, ptr %sum_part_partial, i64 5
  %.91 = load double, ptr %.90
  %.92 = fadd double %.89, %.91
  %.93 = getelementptr inbounds double, ptr %sum_part_partial, i64 3
  %.94 = load double, ptr %.93
  %.95 = getelementptr inbounds double, ptr %sum_part_partial, i64 7
  %.96 = load double, ptr %.95
  %.97 = fadd double %.94, %.96
  %.98 = fadd double %.92, %.97
  %.99 = fadd double %.87, %.98
  %.100 = load double, ptr %sum_part
  %.101 = fadd double %.100, %.99
  store double %.101, ptr %sum_part
  %i_block.step = add nsw i64 %i_block, 1024
  %.102 = icmp slt i64 %i_block.step, %.3
  br i1 %.102, label %i_block.body, label %i_block.end
i_block.end:
  %.103 = load double, ptr %sum_part
  %.104 = getelementptr inbounds double, ptr %sum_parts, i64 %chunk
  store double %.103, ptr %.104
  ret i64 0
}

define internal void @loss_grad.task.2.run(ptr %.context, i64 %.index) nounwind {
  %.place.0 = getelementptr inbounds i64, ptr %.context, i64 0
  %.argument.0 = load ptr, ptr %.place.0
  %.place.1 = getelementptr inbounds i64, ptr %.context, i64 1
  %.argument.1 = load ptr, ptr %.place.1
  %.place.2 = getelementptr inbounds i64, ptr %.context, i64 2
  %.argument.2 = load ptr, ptr %.place.2
  %.place.3 = getelementptr inbounds i64, ptr %.context, i64 3
  %.argument.3 = load ptr, ptr %.place.3
  %.place.4 = getelementptr inbounds i64, ptr %.context, i64 4
  %.argument.4 = load ptr, ptr %.place.4
  %.status = call i64 @loss_grad.task.2(ptr %.argument.0, ptr %.argument.1, ptr %.argument.2, ptr %.argument.3, ptr %.argument.4, i64 %.index)
  %.failed = icmp ne i64 %.status, 0
  br i1 %.failed, label %told, label %end
told:
  %.place = getelementptr inbounds i64, ptr %.context, i64 5
  %.before = atomicrmw umax ptr %.place, i64 %.status monotonic
  br label %end
end:
  ret void
}

define internal i64 @loss_grad.part.3(
    ptr noalias readonly dereferenceable(800000) align 8 %x,  ; f64[100000]
    ptr noalias dereferenceable(8) align 8 %result,  ; f64[]
    ptr noalias dereferenceable(800000) align 8 %d_x,  ; f64[100000]
    ptr noalias align 64 %.arena,  ; scratch memory: 392 bytes
    ptr noalias align 64 %.frame  ; what lives across parts
) noinline nounwind "prefer-vector-width"="512" {
.entry:
  %sum_parts = getelementptr inbounds i8, ptr %.arena, i64 0
  %sum = getelementptr inbounds i8, ptr %.frame, i64 64
  %a.place = getelementptr inbounds i8, ptr %.frame, i64 0
  %a = load double, ptr %a.place
  %b.place = getelementptr inbounds i8, ptr %.frame, i64 8
  %b = load double, ptr %b.place
  br label %chunk.body
chunk.body:
  %chunk = phi i64 [ 0, %.entry ], [ %chunk.step, %chunk.body ]
  %.1 = getelementptr inbounds double, ptr %sum_parts, i64 %chunk
  %.2 = load double, ptr %.1
  %.3 = load double, ptr %sum
  %.4 = fadd double %.3, %.2
  store double %.4, ptr %sum
  %chunk.step = add nsw i64 %chunk, 1
  %.5 = icmp slt i64 %chunk.step, 49
  br i1 %.5, label %chunk.body, label %chunk.end
chunk.end:
  %.6 = load double, ptr %sum
  %.7 = fmul double 100.0, %a
  %.8 = fmul double %.7, %a
  %.9 = fmul double %b, %b
  %.10 = fadd double %.8, %.9
  %.11 = fadd double %.6, %.10
  store double %.11, ptr %result
  ret i64 0
}

define i64 @loss_grad.kernel(
    ptr noalias readonly dereferenceable(800000) align 8 %x,  ; f64[100000]
    ptr noalias dereferenceable(8) align 8 %result,  ; f64[]
    ptr noalias dereferenceable(800000) align 8 %d_x,  ; f64[100000]
    ptr noalias align 64 %.arena  ; scratch memory: 392 bytes
) nounwind "prefer-vector-width"="512" {
.entry:
  %.frame = alloca [72 x i8], align 64
  %.context = alloca [6 x i64], align 8
  %.context.0 = getelementptr inbounds i64, ptr %.context, i64 0
  store ptr %x, ptr %.context.0
  %.context.1 = getelementptr inbounds i64, ptr %.context, i64 1
  store ptr %result, ptr %.context.1
  %.context.2 = getelementptr inbounds i64, ptr %.context, i64 2
  store ptr %d_x, ptr %.context.2
  %.context.3 = getelementptr inbounds i64, ptr %.context, i64 3
  store ptr %.arena, ptr %.context.3
  %.context.4 = getelementptr inbounds i64, ptr %.context, i64 4
  store ptr %.frame, ptr %.context.4
  %.context.status = getelementptr inbounds i64, ptr %.context, i64 5
  store i64 0, ptr %.context.status
  %.start = alloca i64
  %.threads = call i64 @gradc.threads(ptr @loss_grad.calls, i64 2, ptr %.start)
  %.status = alloca i64
  store i64 0, ptr %.status
  %.1 = call i64 @loss_grad.part.1(ptr %x, ptr %result, ptr %d_x, ptr %.arena, ptr %.frame)
  %.2 = load i64, ptr %.status
  %.3 = call i64 @llvm.umax.i64(i64 %.2, i64 %.1)
  store i64 %.3, ptr %.status
  call void @gradc.parallel(ptr @loss_grad.task.2.run, ptr %.context, i64 49, i64 %.threads, ptr @loss_grad.site.2)
  %.4 = load i64, ptr %.context.status
  %.5 = load i64, ptr %.status
  %.6 = call i64 @llvm.umax.i64(i64 %.5, i64 %.4)
  store i64 %.6, ptr %.status
  %.7 = call i64 @loss_grad.part.3(ptr %x, ptr %result, ptr %d_x, ptr %.arena, ptr %.frame)
  %.8 = load i64, ptr %.status
  %.9 = call i64 @llvm.umax.i64(i64 %.8, i64 %.7)
  store i64 %.9, ptr %.status
  call void @gradc.called(ptr @loss_grad.calls, i64 %.threads, ptr %.start)
  %.10 = load i64, ptr %.status
  ret i64 %.10
}

declare double @llvm.fma.f64(double, double, double)
declare i64 @llvm.umax.i64(i64, i64)
declare i64 @llvm.smin.i64(i64, i64)
declare <16 x double> @llvm.fma.v16f64(<16 x double>, <16 x double>, <16 x double>)
declare <16 x double> @llvm.masked.load.v16f64.p0(ptr, i32, <16 x i1>, <16 x double>)
declare void @llvm.masked.store.v16f64.p0(<16 x double>, ptr, i32, <16 x i1>)
declare i64 @gradc.threads(ptr, i64, ptr)
declare void @gradc.parallel(ptr, ptr, i64, i64, ptr)
declare void @gradc.called(ptr, i64, ptr)

attributes #0 = { nounwind willreturn memory(none) }
