// classifier_grad for C++17, over classifier_grad.h. gradc 0.1.0. Generated; yours, no conditions (0BSD).
#ifndef CLASSIFIER_GRAD_HPP
#define CLASSIFIER_GRAD_HPP
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include "classifier_grad.h"

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

/// Value and gradient of classifier (networks.py:25).
/// An object holds the workspace of its calls: each thread wants one of its own.
class classifier_grad {
public:
    struct results {
        double L;
        std::array<double, 20> d_layers_0_W;  // [4][5]  dL/dlayers[0]["W"]
        std::array<double, 5> d_layers_0_b;  // [5]  dL/dlayers[0]["b"]
        std::array<double, 15> d_layers_1_W;  // [5][3]  dL/dlayers[1]["W"]
        std::array<double, 3> d_layers_1_b;  // [3]  dL/dlayers[1]["b"]
    };

    /// Throws gradc::error where a check on the data fails.
    results operator()(
        gradc::view<const double, 20> layers_0_W,  // [4][5]  layers[0]["W"]
        gradc::view<const double, 5> layers_0_b,  // [5]  layers[0]["b"]
        gradc::view<const double, 15> layers_1_W,  // [5][3]  layers[1]["W"]
        gradc::view<const double, 3> layers_1_b,  // [3]  layers[1]["b"]
        gradc::view<const double, 24> x,  // [6][4]
        gradc::view<const int64_t, 6> labels) {  // [6]
        classifier_grad::results results_;
        require_(this->run(
            layers_0_W, layers_0_b, layers_1_W, layers_1_b, x, labels, &results_.L,
            results_.d_layers_0_W, results_.d_layers_0_b, results_.d_layers_1_W,
            results_.d_layers_1_b));
        return results_;
    }

    /// Results go where the caller wants them, nowhere for nullptr. A failed check is told by the status.
    classifier_grad_status run(
        gradc::view<const double, 20> layers_0_W,  // [4][5]  layers[0]["W"]
        gradc::view<const double, 5> layers_0_b,  // [5]  layers[0]["b"]
        gradc::view<const double, 15> layers_1_W,  // [5][3]  layers[1]["W"]
        gradc::view<const double, 3> layers_1_b,  // [3]  layers[1]["b"]
        gradc::view<const double, 24> x,  // [6][4]
        gradc::view<const int64_t, 6> labels,  // [6]
        double* L,
        gradc::view<double, 20> d_layers_0_W,  // [4][5]  dL/dlayers[0]["W"]
        gradc::view<double, 5> d_layers_0_b,  // [5]  dL/dlayers[0]["b"]
        gradc::view<double, 15> d_layers_1_W,  // [5][3]  dL/dlayers[1]["W"]
        gradc::view<double, 3> d_layers_1_b) noexcept {  // [3]  dL/dlayers[1]["b"]
        return ::classifier_grad(
            layers_0_W.data(), layers_0_b.data(), layers_1_W.data(), layers_1_b.data(), x.data(),
            labels.data(), L, d_layers_0_W.data(), d_layers_0_b.data(), d_layers_1_W.data(),
            d_layers_1_b.data(), workspace_);
    }

    /// Recorded inputs against recorded results: CLASSIFIER_GRAD_OK, or CLASSIFIER_GRAD_WRONG.
    static classifier_grad_status selftest() {
        return ::classifier_grad_selftest();
    }

private:
    static void require_(classifier_grad_status status) {
        switch (status) {
            case CLASSIFIER_GRAD_OK: return;
            case CLASSIFIER_GRAD_NULL_INPUT:
                detail::fail<error>(static_cast<int>(status), "an input is null");
            case CLASSIFIER_GRAD_FAILED_1:
                detail::fail<error>(static_cast<int>(status), "index is out of bounds for axis 1 with size 3 (networks.py:31: return -np.mean(np.log(p[np.arange(len(x)), labels])))");
            default: detail::fail<error>(static_cast<int>(status), "classifier_grad failed");
        }
    }

    alignas(CLASSIFIER_GRAD_WORKSPACE_ALIGN) unsigned char workspace_[CLASSIFIER_GRAD_WORKSPACE_SIZE];
};

}  // namespace gradc
#endif
