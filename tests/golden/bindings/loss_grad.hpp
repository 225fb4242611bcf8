// loss_grad for C++17, over loss_grad.h. gradc 0.1.0. Generated; yours, no conditions (0BSD).
#ifndef LOSS_GRAD_HPP
#define LOSS_GRAD_HPP
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include "loss_grad.h"

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

/// Value and gradient of loss (networks.py:6).
class loss_grad {
public:
    loss_grad_out operator()(const loss_grad_in& in) const {
        loss_grad_out out;
        require_(run(in, out));
        return out;
    }

    /// The same, telling a failure by its status.
    loss_grad_status run(const loss_grad_in& in, loss_grad_out& out) const noexcept {
        return ::loss_grad(&in, &out, nullptr);
    }

    /// Recorded inputs against recorded results: LOSS_GRAD_OK, or LOSS_GRAD_WRONG.
    static loss_grad_status selftest() {
        return ::loss_grad_selftest();
    }

private:
    static void require_(loss_grad_status status) {
        switch (status) {
            case LOSS_GRAD_OK: return;
            default: detail::fail<error>(static_cast<int>(status), "loss_grad failed");
        }
    }
};

}  // namespace gradc
#endif
