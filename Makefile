# The main job is `make call`; what it takes as options goes into ARGS:
#   make call ARGS="--duration 10 --json"
ARGS ?=
BENCH ?=
CARGO ?= cargo
export JSON OUT RUNS_EACH SECONDS_EACH TARGET TRACES

# Each package is known by a command that succeeds where it is installed.
is_missing = $(if $(shell $(SHOWS_$(1)) >/dev/null 2>&1 && echo y),,$(1))

# cmake builds libopus; nasm makes OpenH264 three times as fast, and its absence
# is silent; microphones and loudspeakers need the headers of ALSA.
PACKAGES := cmake nasm $(if $(filter Linux,$(shell uname)),pkg-config libasound2-dev)
SHOWS_cmake := command -v cmake
SHOWS_nasm := command -v nasm
SHOWS_pkg-config := command -v pkg-config
SHOWS_libasound2-dev := pkg-config --exists alsa
MISSING := $(foreach package,$(PACKAGES),$(call is_missing,$(package)))

# With all features, as `check` and `test` build: VP8 and VP9.
FEATURES := libvpx-dev
SHOWS_libvpx-dev := pkg-config --exists vpx
MISSING_FEATURES = $(foreach package,$(FEATURES),$(call is_missing,$(package)))

# Programs that run ours beside the best of others: no members of the workspace.
COMPARISONS := drift fanout resample share sync timing

# What tests/interop talks with, and what examples/tests draws on and speaks into.
# GStreamer's plugins are no commands: each of these is known by an element of it.
PEERS := chromium ffmpeg gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good \
	gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-libav iproute2 nodejs npm \
	pulseaudio pulseaudio-utils tmux xvfb
SHOWS_chromium := command -v chromium
SHOWS_ffmpeg := command -v ffmpeg
SHOWS_gstreamer1.0-tools := command -v gst-launch-1.0
SHOWS_gstreamer1.0-plugins-base := gst-inspect-1.0 --exists oggdemux
SHOWS_gstreamer1.0-plugins-good := gst-inspect-1.0 --exists rtph264pay
SHOWS_gstreamer1.0-plugins-bad := gst-inspect-1.0 --exists h264parse
SHOWS_gstreamer1.0-plugins-ugly := gst-inspect-1.0 --exists x264enc
SHOWS_gstreamer1.0-libav := gst-inspect-1.0 --exists avdec_h264
SHOWS_iproute2 := command -v ip
SHOWS_nodejs := command -v node
SHOWS_npm := command -v npm
SHOWS_pulseaudio := command -v pulseaudio
SHOWS_pulseaudio-utils := command -v pactl
SHOWS_tmux := command -v tmux
SHOWS_xvfb := command -v Xvfb
# What the worker of mediasoup is built with, and runs with.
BUILDERS := flatbuffers-compiler g++ libabsl-dev libflatbuffers-dev libsrtp2-dev libssl-dev \
	libuv1-dev perl pkg-config python3-venv
SHOWS_flatbuffers-compiler := command -v flatc
SHOWS_g++ := command -v g++
SHOWS_libabsl-dev := pkg-config --exists absl_strings
SHOWS_libflatbuffers-dev := pkg-config --exists flatbuffers
SHOWS_libsrtp2-dev := pkg-config --exists libsrtp2
SHOWS_libssl-dev := pkg-config --exists openssl
SHOWS_libuv1-dev := pkg-config --exists libuv
SHOWS_perl := command -v perl
SHOWS_python3-venv := python3 -c "import ensurepip, venv"
# Looked for only when asked: it takes a second.
MISSING_PEERS = $(foreach peer,$(PEERS) $(BUILDERS),$(call is_missing,$(peer)))

.PHONY: broadcast call test check sim bench bench-drift bench-fanout bench-path bench-resample \
	bench-sfu bench-share bench-sync bench-timing fuzz interop interop-mediasoup deps feature-deps \
	interop-deps interop-packages interop-cache

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
bench-drift bench-fanout bench-resample bench-share bench-sync: bench-%: deps
	@CARGO_TARGET_DIR=target/peers $(CARGO) run --release --quiet \
		--manifest-path benches/peers/$*/Cargo.toml -- $(ARGS)

# A call over a path that becomes narrow, or is shared with a download, by either carrier:
# as root, for it makes network namespaces.
bench-path: deps
	@PACELINE_INTEROP=required PACELINE_CARRIERS=rtp,channel $(CARGO) test --release --quiet \
		-p paceline-examples --test narrow_path -- --nocapture

# A desktop of 1080p to a real mediasoup: what it costs, and how soon it is seen.
# SCENES=typing,scroll for some of them, OPTIONS='--content camera' for screen-share.
bench-sfu: deps feature-deps interop-deps
	@PACELINE_INTEROP=required $(CARGO) bench --quiet -p paceline-examples --bench share_with_sfu

# NetEQ is built from Debian's library of libwebrtc.
bench-timing: deps
	@benches/peers/timing/run $(ARGS)

# Every fuzz target for so many seconds: make fuzz SECONDS_EACH=30, or RUNS_EACH=1000000
# SECONDS_EACH=0, or TARGET=header for one of them.
fuzz: deps feature-deps
	@fuzz/run

test: deps feature-deps
	$(CARGO) test --workspace --exclude paceline-fuzz --all-features
	@# What a build without a feature says.
	$(CARGO) test -p paceline-codec --no-default-features
	@# Its feature is libFuzzer, which the replay of the corpora does not need.
	$(CARGO) test -p paceline-fuzz
	@# What measures the jitter buffers is measured too.
	CARGO_TARGET_DIR=target/peers $(CARGO) test --manifest-path benches/peers/timing/Cargo.toml
	@# And so is what looks at shared screens.
	CARGO_TARGET_DIR=target/peers $(CARGO) test --manifest-path benches/peers/share/Cargo.toml

# Here a peer that is not installed is a failure; in `make test` its tests are skipped.
interop: deps feature-deps interop-deps
	PACELINE_INTEROP=required $(CARGO) test -p paceline-tests -- --nocapture $(ARGS)
	PACELINE_INTEROP=required $(CARGO) test -p paceline-examples --test lan --test share --test terminal -- --nocapture
	PACELINE_INTEROP=required $(CARGO) test -p paceline-capture -p paceline-codec -p paceline-playout --all-features

# Of those only a real mediasoup, and browsers in its rooms.
interop-mediasoup: deps feature-deps interop-deps
	PACELINE_INTEROP=required $(CARGO) test -p paceline-tests --test mediasoup --test mediasoup_broadcaster --test mediasoup_codecs \
		--test mediasoup_dialect --test mediasoup_publish -- --nocapture $(ARGS)
	PACELINE_INTEROP=required $(CARGO) test -p paceline-examples --test share_with_sfu -- --nocapture $(ARGS)

check: deps feature-deps
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --all-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --all-features --no-deps
	@# A crate alone, without features: unification in the workspace hides what is
	@# missing.
	@for crate in types framing jitter drift mesh migration session capture codec playout publish signaling transport; do \
		echo "$(CARGO) check -p paceline-$$crate --no-default-features"; \
		$(CARGO) check --quiet -p paceline-$$crate --no-default-features || exit 1; \
	done
	@for peer in $(COMPARISONS); do \
		echo "$(CARGO) fmt and clippy in benches/peers/$$peer"; \
		$(CARGO) fmt --check --manifest-path benches/peers/$$peer/Cargo.toml && \
		CARGO_TARGET_DIR=target/peers $(CARGO) clippy --quiet --all-targets \
			--manifest-path benches/peers/$$peer/Cargo.toml -- -D warnings || exit 1; \
	done
	@# It looks at the crates of every platform, of which a build fetches its own.
	@if command -v cargo-deny >/dev/null; then \
		$(CARGO) fetch --quiet && $(CARGO) deny --offline check bans licenses sources; \
	else \
		echo "cargo-deny is not installed: licences and sources are not checked"; \
	fi

# Only as root, and only on Debian and its kin; anybody else is told what to do.
define install
	@missing="$(strip $(1))"; \
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
endef

deps:
	$(call install,$(MISSING))

feature-deps:
	$(call install,$(MISSING_FEATURES))

# Only `interop` and CI ask for these, as they are a lot to install.
interop-deps: interop-packages interop-cache

interop-packages:
	$(call install,$(MISSING_PEERS))

# Outside the tree, in PACELINE_CACHE: 8 minutes of one core where it is empty, and nothing
# where it is not. (PACELINE_CACHE is ~/.cache/paceline unless it is set.)
interop-cache: interop-packages
	@tests/interop/mediasoup/install
