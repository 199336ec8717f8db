//===- Interrupt.h - Ctrl-C ends what runs ----------------------*- C++ -*-===//
#ifndef NACRE_FRONTENDS_PYTHON_INTERRUPT_H
#define NACRE_FRONTENDS_PYTHON_INTERRUPT_H

#include "runtime/api/nacre.h"

#include <csignal>
#include <unistd.h>

namespace nacre::python {

/// While it lives, Ctrl-C cancels the session's runs, before Python hears of it. Only the
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
    signalled = 0;
    struct sigaction action = interrupted.previous;
    action.sa_flags &= ~SA_SIGINFO;
    action.sa_handler = [](int signal) {
      signalled = 1;
      nacre_session_cancel(interrupted.session);
      interrupted.previous.sa_handler(signal);
    };
    if (interrupted.previous.sa_flags & SA_SIGINFO) {
      action.sa_flags |= SA_SIGINFO;
      action.sa_sigaction = [](int signal, siginfo_t *info, void *context) {
        signalled = 1;
        nacre_session_cancel(interrupted.session);
        interrupted.previous.sa_sigaction(signal, info, context);
      };
    }
    isInstalled = sigaction(SIGINT, &action, nullptr) == 0;
    if (!isInstalled)
      interrupted.session = nullptr;
  }
  ~CancelOnInterrupt() {
    if (!isInstalled)
      return;
    sigaction(SIGINT, &interrupted.previous, nullptr);
    interrupted.session = nullptr;
  }

  /// Whether Ctrl-C has been pressed since this was made: also between runs.
  bool wasInterrupted() const { return isInstalled && signalled; }

private:
  static inline volatile std::sig_atomic_t signalled = 0;
  struct Interrupted {
    nacre_session *session;
    struct sigaction previous;
  };
  static inline Interrupted interrupted = {};
  bool isInstalled = false;
};

} // namespace nacre::python

#endif // NACRE_FRONTENDS_PYTHON_INTERRUPT_H
