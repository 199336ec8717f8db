//===- Interrupt.h - Ctrl-C ends what runs ----------------------*- C++ -*-===//
#ifndef NACRE_FRONTENDS_PYTHON_INTERRUPT_H
#define NACRE_FRONTENDS_PYTHON_INTERRUPT_H

#include "runtime/api/nacre.h"

#include <atomic>
#include <csignal>
#include <thread>
#include <unistd.h>

namespace nacre::python {

/// While it lives, Ctrl-C cancels the session's runs as soon as Python has been told. Only the
/// main thread of a process whose Python handles the signal does so: all others go on until
/// that one stops them.
class CancelOnInterrupt {
public:
  explicit CancelOnInterrupt(nacre_session *session) {
    if (gettid() != getpid() || interrupted.session)
      return;
    if (sigaction(SIGINT, nullptr, &interrupted.previous) != 0 || interrupted.previous.sa_handler == SIG_DFL ||
        interrupted.previous.sa_handler == SIG_IGN)
      return;
    interrupted.session = session;
    interrupted.isSignalled = false;
    struct sigaction action = interrupted.previous;
    action.sa_flags |= SA_SIGINFO;
    action.sa_sigaction = handle;
    isInstalled = sigaction(SIGINT, &action, nullptr) == 0;
    if (!isInstalled)
      interrupted.session = nullptr;
  }
  ~CancelOnInterrupt() {
    if (!isInstalled)
      return;
    sigaction(SIGINT, &interrupted.previous, nullptr);
    // Another thread may be in the handler, with our session in its hand.
    while (interrupted.handling != 0)
      std::this_thread::yield();
    interrupted.session = nullptr;
  }

  /// Whether Ctrl-C has been pressed since this was made: also between runs.
  bool wasInterrupted() const { return isInstalled && interrupted.isSignalled; }

private:
  /// Any thread may be the one that the signal interrupts. Python comes first: who sees that a run
  /// was cancelled finds the signal pending, and raises KeyboardInterrupt.
  static void handle(int signal, siginfo_t *info, void *context) {
    ++interrupted.handling;
    if (interrupted.previous.sa_flags & SA_SIGINFO)
      interrupted.previous.sa_sigaction(signal, info, context);
    else
      interrupted.previous.sa_handler(signal);
    interrupted.isSignalled = true;
    if (nacre_session *session = interrupted.session)
      nacre_session_cancel(session);
    --interrupted.handling;
  }

  struct Interrupted {
    std::atomic<nacre_session *> session;
    std::atomic<bool> isSignalled;
    std::atomic<int> handling;
    struct sigaction previous;
  };
  static inline Interrupted interrupted = {};
  bool isInstalled = false;
};

} // namespace nacre::python

#endif // NACRE_FRONTENDS_PYTHON_INTERRUPT_H
