// SPDX-License-Identifier: Apache-2.0
//
// The errors of the core. One class here is one class in Python; bindings translate by
// type, never by text. Messages read `name: what it is, want what`. "No" is not an
// error: it is a Verdict.
#pragma once

#include <stdexcept>
#include <string>

namespace topoalloc {

/// Base of all errors that the core throws.
class Error : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// A Request that has no meaning, or a bad argument of a call.
class InvalidRequestError : public Error {
  public:
    using Error::Error;
};

/// A damaged file, spec, snapshot or object; the message starts with source and place.
class FormatError : public Error {
  public:
    using Error::Error;
};

/// A call that the present state does not allow.
class StateError : public Error {
  public:
    using Error::Error;
};

/// A plan made on a state that has changed since.
class StaleError : public StateError {
  public:
    using StateError::StateError;
};

/// A broken invariant of ours: asks for a report.
class InternalError : public Error {
  public:
    using Error::Error;
};

}  // namespace topoalloc
