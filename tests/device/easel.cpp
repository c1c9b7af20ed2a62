// A second device for the tests: memory of the processor under another name, PrivateUse1.
//
// Every operator that is not below goes to the fallback. It refuses a tensor of the CPU with at
// least one axis beside tensors of the device, as a GPU would, and then computes on the CPU.
// Allocations can be limited, so that running out of memory can be tested too.

#include <ATen/ATen.h>
#include <ATen/EmptyTensor.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <ATen/native/CPUFallback.h>
#include <ATen/native/Resize.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/set_native.h>
#include <ATen/ops/unfold_native.h>
#include <ATen/ops/view_as_complex_native.h>
#include <ATen/ops/view_as_real_native.h>
#include <ATen/ops/view_native.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <c10/core/impl/alloc_cpu.h>
#include <torch/library.h>

#include <atomic>
#include <limits>
#include <mutex>
#include <unordered_map>

namespace {

const c10::Device EASEL(c10::DeviceType::PrivateUse1, 0);

std::atomic<int64_t> taken{0}, peak{0}, total{int64_t(8) << 30}, refused{0};
std::mutex mutex;
std::unordered_map<void*, int64_t> sizes;

void give_back(void* data) {
  std::lock_guard<std::mutex> guard(mutex);
  taken -= sizes[data];
  sizes.erase(data);
  c10::free_cpu(data);
}

struct Allocator final : c10::Allocator {
  c10::DataPtr allocate(size_t size) override {
    if (size == 0) {
      return {nullptr, nullptr, &give_back, EASEL};
    }
    std::lock_guard<std::mutex> guard(mutex);
    if (taken + int64_t(size) > total) {
      ++refused;
      TORCH_CHECK_WITH(OutOfMemoryError, false, "the easel has no room for ", size, " bytes");
    }
    void* data = c10::alloc_cpu(size);
    sizes[data] = size;
    taken += size;
    peak = std::max<int64_t>(peak, taken);
    return {data, data, &give_back, EASEL};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &give_back; }
  void copy_data(void* to, const void* from, size_t size) const override {
    std::memcpy(to, from, size);
  }
};

Allocator allocator;

struct Guard final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return EASEL.type(); }
  c10::Device exchangeDevice(c10::Device) const override { return EASEL; }
  c10::Device getDevice() const override { return EASEL; }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::Stream getStream(c10::Device) const override {
    return c10::Stream(c10::Stream::DEFAULT, EASEL);
  }
  c10::Stream getDefaultStream(c10::Device) const override { return getStream(EASEL); }
  c10::Stream exchangeStream(c10::Stream stream) const override { return stream; }
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
  void record(void**, const c10::Stream&, c10::DeviceIndex, c10::EventFlag) const override {}
  void block(void*, const c10::Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  void synchronizeDevice(c10::DeviceIndex) const override {}
};

struct Hooks final : at::PrivateUse1HooksInterface {
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  c10::DeviceIndex deviceCount() const override { return 1; }
  c10::DeviceIndex getCurrentDevice() const override { return 0; }
};

Hooks hooks;

// The same memory as a tensor of the CPU.
at::Tensor on_cpu(const at::Tensor& x) {
  if (x.device().is_cpu()) {
    return x;
  }
  auto options = x.options().device(at::kCPU);
  auto y = at::from_blob(x.mutable_data_ptr(), x.sizes(), x.strides(), [](void*) {}, options);
  y._set_conj(x.is_conj());
  y._set_neg(x.is_neg());
  return y;
}

void check_devices(const c10::OperatorHandle& op, const std::vector<at::Tensor>& tensors) {
  bool here = false;
  for (const auto& x : tensors) {
    here |= x.defined() && x.is_privateuseone();
  }
  for (const auto& x : tensors) {
    TORCH_CHECK(
        !here || !x.defined() || x.is_privateuseone() || x.dim() == 0,
        op.schema().operator_name().name, ": a tensor of shape ", x.sizes(), " on ", x.device(),
        " beside tensors of the easel");
  }
}

void fallback(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  std::vector<at::Tensor> tensors;
  for (const auto& value : torch::jit::last(*stack, op.schema().arguments().size())) {
    if (value.isTensor()) {
      tensors.push_back(value.toTensor());
    } else if (value.isTensorList()) {
      for (const at::Tensor& x : value.toTensorVector()) tensors.push_back(x);
    } else if (value.isOptionalTensorList()) {
      for (const auto& x : value.toOptionalTensorVector()) {
        if (x) tensors.push_back(*x);
      }
    }
  }
  check_devices(op, tensors);
  at::native::cpu_fallback(op, stack);
}

at::Tensor empty(
    c10::SymIntArrayRef size, std::optional<at::ScalarType> dtype, std::optional<at::Layout>,
    std::optional<at::Device>, std::optional<bool>, std::optional<at::MemoryFormat> format) {
  auto keys = c10::DispatchKeySet(c10::DispatchKey::PrivateUse1);
  return at::detail::empty_generic(
      C10_AS_INTARRAYREF_SLOW(size), &allocator, keys, c10::dtype_or_default(dtype), format);
}

at::Tensor empty_strided(
    c10::SymIntArrayRef size, c10::SymIntArrayRef stride, std::optional<at::ScalarType> dtype,
    std::optional<at::Layout>, std::optional<at::Device>, std::optional<bool>) {
  auto keys = c10::DispatchKeySet(c10::DispatchKey::PrivateUse1);
  return at::detail::empty_strided_generic(
      C10_AS_INTARRAYREF_SLOW(size), C10_AS_INTARRAYREF_SLOW(stride), &allocator, keys,
      c10::dtype_or_default(dtype));
}

at::Tensor copy_from(const at::Tensor& self, const at::Tensor& to, bool) {
  on_cpu(to).copy_(on_cpu(self));
  return to;
}

at::Tensor copy_and_resize(const at::Tensor& self, const at::Tensor& to) {
  at::native::resize_(to, self.sizes());
  return copy_from(self, to, false);
}

const at::Tensor& resize(
    const at::Tensor& self, c10::SymIntArrayRef size, std::optional<at::MemoryFormat> format) {
  auto sides = C10_AS_INTARRAYREF_SLOW(size);
  auto bytes = at::detail::computeStorageNbytesContiguous(sides, self.element_size());
  auto& storage = self.storage();
  if (storage.nbytes() < bytes) {
    auto data = allocator.allocate(bytes);
    if (storage.nbytes() > 0) std::memcpy(data.get(), storage.data(), storage.nbytes());
    storage.unsafeGetStorageImpl()->set_data_ptr_noswap(std::move(data));
    storage.unsafeGetStorageImpl()->set_nbytes(bytes);
  }
  self.unsafeGetTensorImpl()->set_sizes_contiguous(sides);
  if (format) self.unsafeGetTensorImpl()->empty_tensor_restride(*format);
  return self;
}

at::Scalar read_scalar(const at::Tensor& self) { return at::_local_scalar_dense(on_cpu(self)); }

at::Tensor as_strided(
    const at::Tensor& self, c10::SymIntArrayRef size, c10::SymIntArrayRef stride,
    std::optional<c10::SymInt> offset) {
  return at::native::as_strided_tensorimpl(
      self, C10_AS_INTARRAYREF_SLOW(size), C10_AS_INTARRAYREF_SLOW(stride),
      offset ? std::optional<int64_t>(offset->expect_int()) : std::nullopt);
}

at::Tensor reshape_alias(
    const at::Tensor& self, c10::SymIntArrayRef size, c10::SymIntArrayRef stride) {
  return as_strided(self, size, stride, self.storage_offset());
}

at::Tensor view(const at::Tensor& self, c10::SymIntArrayRef size) {
  return at::native::view(self, C10_AS_INTARRAYREF_SLOW(size));
}

at::Tensor unfold(const at::Tensor& self, int64_t axis, int64_t size, int64_t step) {
  return at::native::unfold(self, axis, size, step);
}

at::Tensor view_as_real(const at::Tensor& self) { return at::native::view_as_real(self); }

at::Tensor view_as_complex(const at::Tensor& self) { return at::native::view_as_complex(self); }

at::Tensor& set_storage(
    at::Tensor& self, at::Storage source, c10::SymInt offset, c10::SymIntArrayRef size,
    c10::SymIntArrayRef stride) {
  return at::native::set_storage_cpu_(
      self, source, offset.expect_int(), C10_AS_INTARRAYREF_SLOW(size),
      C10_AS_INTARRAYREF_SLOW(stride));
}

at::Tensor back(const at::Tensor& x) { return x.defined() ? x.to(EASEL) : x; }

at::Tensor convolution(
    const at::Tensor& x, const at::Tensor& weight, const std::optional<at::Tensor>& bias,
    at::IntArrayRef stride, at::IntArrayRef padding, at::IntArrayRef dilation, bool transposed,
    at::IntArrayRef output_padding, int64_t groups) {
  TORCH_CHECK(weight.is_privateuseone() && x.is_privateuseone(), "convolution: mixed devices");
  auto b = bias && bias->defined() ? std::optional<at::Tensor>(on_cpu(*bias)) : std::nullopt;
  return back(at::convolution(
      on_cpu(x), on_cpu(weight), b, stride, padding, dilation, transposed, output_padding, groups));
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> convolution_backward(
    const at::Tensor& gradient, const at::Tensor& x, const at::Tensor& weight,
    at::IntArrayRef stride, at::IntArrayRef padding, at::IntArrayRef dilation, bool transposed,
    at::IntArrayRef output_padding, int64_t groups, std::array<bool, 3> mask) {
  TORCH_CHECK(gradient.is_privateuseone() && weight.is_privateuseone() && x.is_privateuseone(),
              "convolution_backward: mixed devices");
  at::OptionalIntArrayRef biases;
  int64_t outputs = gradient.size(1);
  if (mask[2]) biases = at::IntArrayRef(&outputs, 1);
  auto [a, b, c] = at::convolution_backward(
      on_cpu(gradient), on_cpu(x), on_cpu(weight), biases, stride, padding, dilation, transposed,
      output_padding, groups, mask);
  return {back(a), back(b), back(c)};
}

}  // namespace

C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard);

TORCH_LIBRARY_IMPL(_, PrivateUse1, m) {
  m.fallback(torch::CppFunction::makeFromBoxedFunction<&fallback>());
}

TORCH_LIBRARY_IMPL(aten, PrivateUse1, m) {
  m.impl("empty.memory_format", empty);
  m.impl("empty_strided", empty_strided);
  m.impl("_copy_from", copy_from);
  m.impl("_copy_from_and_resize", copy_and_resize);
  m.impl("resize_", resize);
  m.impl("_local_scalar_dense", read_scalar);
  m.impl("as_strided", as_strided);
  m.impl("_reshape_alias", reshape_alias);
  m.impl("view", view);
  m.impl("unfold", unfold);
  m.impl("view_as_real", view_as_real);
  m.impl("view_as_complex", view_as_complex);
  m.impl("set_.source_Storage_storage_offset", set_storage);
  m.impl("convolution_overrideable", convolution);
  m.impl("convolution_backward_overrideable", convolution_backward);
}

// A copy sees whether its source is a conjugate or a negative, so nothing has to be resolved first.
TORCH_LIBRARY_IMPL(aten, Conjugate, m) {
  m.impl("_copy_from", torch::CppFunction::makeFallthrough());
}

TORCH_LIBRARY_IMPL(aten, Negative, m) {
  m.impl("_copy_from", torch::CppFunction::makeFallthrough());
}

TORCH_LIBRARY(easel, m) {
  m.def("taken() -> int", [] { return taken.load(); });
  m.def("peak() -> int", [] { return peak.load(); });
  m.def("refused() -> int", [] { return refused.load(); });
  m.def("total() -> int", [] { return total.load(); });
  m.def("limit(int bytes) -> ()", [](int64_t bytes) {
    total = bytes;
    peak = taken.load();
    refused = 0;
  });
}

struct Registered {
  Registered() {
    at::RegisterPrivateUse1HooksInterface(&hooks);
    c10::SetAllocator(EASEL.type(), &allocator);
  }
} registered;
