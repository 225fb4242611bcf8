// regression_grad for C++17, over regression_grad.h. gradc 0.1.0. Generated; yours, no conditions (0BSD).
#ifndef REGRESSION_GRAD_HPP
#define REGRESSION_GRAD_HPP
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>
#include "regression_grad.h"

#ifndef GRADC_CPP_VERSION
#define GRADC_CPP_VERSION 1
namespace gradc {

/// A call that failed. status() is that of the C function, what() tells it.
class error : public std::runtime_error {
public:
    error(int status, const char* message) : std::runtime_error(message), status_(status) {}
    int status() const noexcept { return status_; }

private:
    int status_;
};

inline constexpr std::size_t any_size = static_cast<std::size_t>(-1);

namespace detail {
/// Throws; a program that is compiled without exceptions ends.
template <class Exception, class... Arguments>
[[noreturn]] void fail(Arguments... arguments) {
#if defined(__cpp_exceptions) || defined(_CPPUNWIND)
    throw Exception(arguments...);
#else
    static_cast<void>(sizeof...(arguments));
    std::abort();
#endif
}

inline void require_length(const char* what, std::size_t found, std::size_t expected) {
    if (found != expected)
        fail<std::length_error>(
            std::string(what) + " has " + std::to_string(found) + " elements, expected " + std::to_string(expected));
}
}  // namespace detail

/// Elements in a row that belong to the caller: of an array, also of two dimensions, or of whatever has data() and
/// size(), such as std::array, std::vector and std::span. The number of elements is checked, where it is known already by
/// the compiler. A result made of nullptr is not written.
template <class T, std::size_t Size = any_size>
class view {
public:
    constexpr view(std::nullptr_t) noexcept : data_(nullptr), size_(Size == any_size ? 0 : Size) {}

    explicit constexpr view(T* data) noexcept : data_(data), size_(Size) {
        static_assert(Size != any_size, "give the number of elements too");
    }

    constexpr view(T* data, std::size_t size) : data_(data), size_(size) { check(); }

    template <std::size_t N>
    constexpr view(T (&array)[N]) noexcept : data_(array), size_(N) {
        static_assert(Size == any_size || Size == N, "the array has another number of elements");
    }

    template <std::size_t Rows, std::size_t Columns>
    constexpr view(T (&array)[Rows][Columns]) noexcept : data_(array[0]), size_(Rows * Columns) {
        static_assert(Size == any_size || Size == Rows * Columns, "the array has another number of elements");
    }

    template <std::size_t N>
    constexpr view(std::array<std::remove_const_t<T>, N>& array) noexcept : data_(array.data()), size_(N) {
        static_assert(Size == any_size || Size == N, "the array has another number of elements");
    }

    template <std::size_t N, class U = T, class = std::enable_if_t<std::is_const_v<U>>>
    constexpr view(const std::array<std::remove_const_t<T>, N>& array) noexcept : data_(array.data()), size_(N) {
        static_assert(Size == any_size || Size == N, "the array has another number of elements");
    }

    template <class Container, class = std::enable_if_t<std::is_convertible_v<
                                   decltype(std::declval<Container&>().data()), T*>>>
    constexpr view(Container&& container) : data_(container.data()), size_(container.size()) {
        check();
    }

    constexpr T* data() const noexcept { return data_; }
    constexpr std::size_t size() const noexcept { return size_; }

private:
    constexpr void check() const {
        if (Size != any_size && size_ != Size) detail::require_length("a view", size_, Size);
    }

    T* data_;
    std::size_t size_;
};

}  // namespace gradc
#endif

namespace gradc {

/// Value and gradient of regression (networks.py:34).
/// An object holds the workspace of its calls: each thread wants one of its own.
/// It allocates only when a call needs more than all before, or in reserve().
class regression_grad {
public:
    struct results {
        double L;
        std::array<double, 6> d_w_a;  // [3][2]  dL/dw["a"]
        std::array<double, 2> d_w_b;  // [2]  dL/dw["b"]
    };

    /// Throws std::length_error where an array has another length.
    results operator()(
        std::size_t batch,
        gradc::view<const double, 6> w_a,  // [3][2]  w["a"]
        gradc::view<const double, 2> w_b,  // [2]  w["b"]
        gradc::view<const double> x,  // [batch][3]
        gradc::view<const double> y,  // [batch][2]
        double scale) {
        regression_grad::results results_;
        require_(this->run(batch, w_a, w_b, x, y, scale, &results_.L, results_.d_w_a, results_.d_w_b));
        return results_;
    }

    /// Results go where the caller wants them, nowhere for nullptr. A failed check is told by the status.
    regression_grad_status run(
        std::size_t batch,
        gradc::view<const double, 6> w_a,  // [3][2]  w["a"]
        gradc::view<const double, 2> w_b,  // [2]  w["b"]
        gradc::view<const double> x,  // [batch][3]
        gradc::view<const double> y,  // [batch][2]
        double scale,
        double* L,
        gradc::view<double, 6> d_w_a,  // [3][2]  dL/dw["a"]
        gradc::view<double, 2> d_w_b) {  // [2]  dL/dw["b"]
        detail::require_length(
            "x", x.size(), batch > PTRDIFF_MAX/3 ? std::size_t{PTRDIFF_MAX} :
            std::size_t(3*std::int64_t(batch)));
        detail::require_length(
            "y", y.size(), batch > PTRDIFF_MAX/2 ? std::size_t{PTRDIFF_MAX} :
            std::size_t(2*std::int64_t(batch)));
        return ::regression_grad(
            batch, w_a.data(), w_b.data(), x.data(), y.data(), scale, L, d_w_a.data(), d_w_b.data(),
            memory_(REGRESSION_GRAD_WORKSPACE_SIZE(batch)));
    }

    /// Allocates what calls of these sizes need.
    void reserve(std::size_t batch) { memory_(REGRESSION_GRAD_WORKSPACE_SIZE(batch)); }

    /// Recorded inputs against recorded results: REGRESSION_GRAD_OK, or REGRESSION_GRAD_WRONG.
    static regression_grad_status selftest() {
        return ::regression_grad_selftest();
    }

private:
    static void require_(regression_grad_status status) {
        switch (status) {
            case REGRESSION_GRAD_OK: return;
            case REGRESSION_GRAD_NULL_INPUT:
                detail::fail<error>(static_cast<int>(status), "an input is null");
            default: detail::fail<error>(static_cast<int>(status), "regression_grad failed");
        }
    }

    void* memory_(std::size_t bytes) {
        if (workspace_.size() < bytes + 64) workspace_ = std::vector<unsigned char>(bytes + 64);
        return workspace_.data() + (64 - reinterpret_cast<std::uintptr_t>(workspace_.data()) % 64) % 64;
    }

    std::vector<unsigned char> workspace_;
};

}  // namespace gradc
#endif
