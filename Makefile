# The main job is `make call`; what it takes as options goes into ARGS:
#   make call ARGS="--duration 10 --json"
ARGS ?=
BENCH ?=
CARGO ?= cargo
export JSON OUT RUNS_EACH SECONDS_EACH TARGET TRACES

# cmake builds libopus; nasm makes OpenH264 three times as fast, and its absence
# is silent.
PACKAGES := cmake nasm
MISSING := $(foreach package,$(PACKAGES),$(if $(shell command -v $(package) 2>/dev/null),,$(package)))

# Programs that run ours beside the best of others: no members of the workspace.
COMPARISONS := drift fanout resample sync timing

# What tests/interop talks with, and what examples/tests draws on. GStreamer's plugins are
# no commands: each of these is known by an element of it.
PEERS := ffmpeg gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good \
	gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-libav iproute2 tmux
SHOWS_ffmpeg := command -v ffmpeg
SHOWS_gstreamer1.0-tools := command -v gst-launch-1.0
SHOWS_gstreamer1.0-plugins-base := gst-inspect-1.0 --exists oggdemux
SHOWS_gstreamer1.0-plugins-good := gst-inspect-1.0 --exists rtph264pay
SHOWS_gstreamer1.0-plugins-bad := gst-inspect-1.0 --exists h264parse
SHOWS_gstreamer1.0-plugins-ugly := gst-inspect-1.0 --exists x264enc
SHOWS_gstreamer1.0-libav := gst-inspect-1.0 --exists avdec_h264
SHOWS_iproute2 := command -v ip
SHOWS_tmux := command -v tmux
# Looked for only when asked: it takes a second.
MISSING_PEERS = $(foreach peer,$(PEERS),$(if $(shell $(SHOWS_$(peer)) >/dev/null 2>&1 && echo y),,$(peer)))

.PHONY: broadcast call test check sim bench bench-drift bench-fanout bench-resample bench-sync \
	bench-timing fuzz interop deps interop-deps

call: deps
	@$(CARGO) run --release --quiet -p paceline-examples --bin call -- $(ARGS)

# One sends, a hundred receive: make broadcast ARGS="--stall 50 --json"
broadcast: deps
	@$(CARGO) run --release --quiet -p paceline-examples --bin broadcast -- $(ARGS)

sim: deps
	@$(CARGO) run --release --quiet -p paceline-sim --example sim -- $(ARGS)

# What a release costs, beside what it could cost: BENCH=framing for one of them.
bench: deps
	$(CARGO) bench -p paceline-benches $(if $(BENCH),--bench $(BENCH)) -- $(ARGS)

# Beside the best that others have, in one run: TRACES=FOLDER for other recordings, JSON=1
# for a machine. Programs of their own, so that nobody who builds paceline builds them.
bench-drift bench-fanout bench-resample bench-sync: bench-%: deps
	@CARGO_TARGET_DIR=target/peers $(CARGO) run --release --quiet \
		--manifest-path benches/peers/$*/Cargo.toml -- $(ARGS)

# NetEQ is built from Debian's library of libwebrtc.
bench-timing: deps
	@benches/peers/timing/run $(ARGS)

# Every fuzz target for so many seconds: make fuzz SECONDS_EACH=30, or RUNS_EACH=1000000
# SECONDS_EACH=0, or TARGET=header for one of them.
fuzz: deps
	@fuzz/run

test: deps
	$(CARGO) test --workspace --exclude paceline-fuzz --all-features
	@# Its feature is libFuzzer, which the replay of the corpora does not need.
	$(CARGO) test -p paceline-fuzz
	@# What measures the jitter buffers is measured too.
	CARGO_TARGET_DIR=target/peers $(CARGO) test --manifest-path benches/peers/timing/Cargo.toml

# Here a peer that is not installed is a failure; in `make test` its tests are skipped.
interop: deps interop-deps
	PACELINE_INTEROP=required $(CARGO) test -p paceline-tests -- --nocapture $(ARGS)
	PACELINE_INTEROP=required $(CARGO) test -p paceline-examples --test lan --test terminal -- --nocapture

check: deps
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --all-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --all-features --no-deps
	@# A crate alone, without features: unification in the workspace hides what is
	@# missing.
	@for crate in types framing jitter drift mesh migration session capture codec playout signaling transport; do \
		echo "$(CARGO) check -p paceline-$$crate --no-default-features"; \
		$(CARGO) check --quiet -p paceline-$$crate --no-default-features || exit 1; \
	done
	@for peer in $(COMPARISONS); do \
		echo "$(CARGO) fmt and clippy in benches/peers/$$peer"; \
		$(CARGO) fmt --check --manifest-path benches/peers/$$peer/Cargo.toml && \
		CARGO_TARGET_DIR=target/peers $(CARGO) clippy --quiet --all-targets \
			--manifest-path benches/peers/$$peer/Cargo.toml -- -D warnings || exit 1; \
	done
	@if command -v cargo-deny >/dev/null; then \
		$(CARGO) deny --offline check bans licenses sources; \
	else \
		echo "cargo-deny is not installed: licences and sources are not checked"; \
	fi

# Only as root, and only on Debian and its kin; anybody else is told what to do.
deps:
ifneq ($(strip $(MISSING)),)
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing $(MISSING) with apt-get"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $(MISSING) >/dev/null; \
	else \
		echo "missing: $(MISSING)"; \
		echo "install with: apt-get install $(MISSING)   (as root, or what your system has instead)"; \
		exit 1; \
	fi
endif

# The same manner; only `interop` and CI ask for it, as it is a lot to install.
interop-deps:
	@missing="$(strip $(MISSING_PEERS))"; \
	if [ -z "$$missing" ]; then \
		:; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing $$missing with apt-get"; \
		apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	else \
		echo "missing: $$missing"; \
		echo "install with: apt-get install $$missing   (as root, or what your system has instead)"; \
		exit 1; \
	fi
