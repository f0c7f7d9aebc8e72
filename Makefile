# bbam: two commands, each doing its own set-up:
#   make demo     the whole method on generated pictures; writes out/demo/report.html
#   make test     builds and runs every test
# Others:
#   all (bbam) tests     build the program build/bbam, or the test runner
#   gradcheck bench      worst gradient error of every op; speed, against peers where python3 has them
#   asan tsan ubsan      the tests under a sanitizer, in build folders of their own
#   golden               writes the golden files anew from their oracles
#   deps deps-dev        install missing Debian packages: to build and test, and for .ci/run as well
#   format check-format layering check-docs headers clean
# Settings:
#   CUDA=1               the same program for CUDA as well (toolkit and cuDNN under CUDA_HOME)
#   WERROR=1             warnings are errors       ARCH=...   for g++ -march (native)
#   CUDA_ARCH=90         for nvcc's sm_            JOBS=N     compilers at once (all cores)

CXX       ?= g++
JOBS      ?= $(shell nproc)
ARCH      ?= native
CUDA_HOME ?= /usr/local/cuda
# How long idle OpenMP threads spin; see cli/main.cpp.
export GOMP_SPINCOUNT ?= 1000
CUDA_ARCH ?= 90
NVCC      ?= $(CUDA_HOME)/bin/nvcc
PYTHON    ?= python3

ROOMS := tensor autograd layers detectors segmenters attribution datasets cli
WARN  := -Wall -Wextra
comma := ,
ifdef WERROR
WARN  += -Werror
endif
CPPFLAGS := -I.
CXXFLAGS := -std=c++20 -O2 -g1 -march=$(ARCH) -fopenmp -MMD -MP $(WARN)
# Kernels: no fast-math; -O3 for the vectoriser. Without nvcc Thrust's device is OpenMP.
CUFLAGS  := -O3 -DTHRUST_HOST_SYSTEM=THRUST_HOST_SYSTEM_CPP -DTHRUST_DEVICE_SYSTEM=THRUST_DEVICE_SYSTEM_OMP
NVCCFLAGS := -std=c++20 -O3 -arch=sm_$(CUDA_ARCH) -MD -MP \
  -Werror cross-execution-space-call$(if $(WERROR),$(comma)all-warnings) \
  -Xcompiler -O3,-march=$(ARCH),-fopenmp,-Wall,-Wno-unknown-pragmas
LDLIBS   := -fopenmp -ldnnl -lopenblas -lfmt -lpugixml -lzip -lmatio -ljpeg -lpng -lz

# A sanitized build has a folder of its own.
BUILD := build
ifdef SANITIZE
BUILD    := build/$(SANITIZE)
CXXFLAGS += -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer
LDLIBS   += -fsanitize=$(SANITIZE)
endif

# Which files are compiled is chosen here, not by #ifdef: *_cuda.cpp with CUDA=1, else *_nocuda.cpp.
ALL_CPP := $(foreach room,$(ROOMS),$(wildcard $(room)/*.cpp))
KERNELS := $(foreach room,$(ROOMS),$(wildcard $(room)/*.cu))
TEST_CPP := $(wildcard tests/*.cpp tests/*/*.cpp)
TEST_CU  := $(wildcard tests/*.cu tests/*/*.cu)
BENCH_CPP := $(wildcard bench/*.cpp)
HEADERS := $(foreach room,$(ROOMS) tests bench,$(wildcard $(room)/*.h $(room)/*/*.h))

ifdef CUDA
ifeq ($(wildcard $(NVCC)),)
$(error CUDA=1: no nvcc at $(NVCC); set CUDA_HOME to the CUDA toolkit, for example make CUDA=1 CUDA_HOME=/opt/cuda)
endif
CUDNN_HOME ?= $(CUDA_HOME)
CUDA_INCLUDES := $(addsuffix /include,$(sort $(CUDA_HOME) $(CUDNN_HOME)))
ifeq ($(wildcard $(addsuffix /cudnn.h,$(CUDA_INCLUDES) /usr/include)),)
$(error CUDA=1: no cudnn.h in $(CUDA_INCLUDES); install cuDNN 9 there or set CUDNN_HOME)
endif
VARIANT := cuda
CPP := $(filter-out %_nocuda.cpp,$(ALL_CPP))
LDLIBS += $(foreach home,$(sort $(CUDA_HOME) $(CUDNN_HOME)),-L$(home)/lib64 -L$(home)/lib) -lcudnn -lcublasLt -lcublas -lcudart
KERNEL_COMMAND := $(NVCC) $(CPPFLAGS) $(NVCCFLAGS)
else
VARIANT := cpu
CPP := $(filter-out %_cuda.cpp,$(ALL_CPP))
KERNEL_COMMAND := $(CXX) -x c++ $(CPPFLAGS) $(CXXFLAGS) $(CUFLAGS)
endif
HOST_COMMAND := $(CXX) $(CPPFLAGS) $(CXXFLAGS)

# Host objects do not depend on the variant and are shared by both builds.
host_objects   = $(patsubst %.cpp,$(BUILD)/host/%.o,$(1))
kernel_objects = $(patsubst %.cu,$(BUILD)/$(VARIANT)/%.cu.o,$(1))
LIB_OBJECTS := $(call host_objects,$(filter-out cli/main.cpp,$(CPP))) $(call kernel_objects,$(KERNELS))

.PHONY: all bbam tests test demo deps deps-dev gradcheck bench asan tsan ubsan golden format check-format layering check-docs headers clean FORCE
# Goals given together run one after the other; each is built in parallel by a make of its own.
ifndef PARALLEL
.NOTPARALLEL:
endif
parallel_make = $(MAKE) --no-print-directory PARALLEL=1 $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(JOBS))

all: bbam
bbam: deps
	@$(parallel_make) $(BUILD)/$(VARIANT)/bbam
	@ln -sf $(VARIANT)/bbam $(BUILD)/bbam
tests: deps
	@$(parallel_make) $(BUILD)/$(VARIANT)/tests

demo: bbam
	$(BUILD)/bbam demo --out out/demo
test: tests
	@$(BUILD)/$(VARIANT)/tests $(TEST_ARGS)
gradcheck: tests
	@$(BUILD)/$(VARIANT)/tests --gradcheck
bench: deps
	@$(parallel_make) $(BUILD)/$(VARIANT)/bench
	@$(BUILD)/$(VARIANT)/bench $(BUILD)/bench.json $(BENCH)
	@if command -v $(PYTHON) >/dev/null; then $(PYTHON) bench/peers/compare.py $(BUILD)/bench.json; \
	 else echo "no $(PYTHON) here: not compared with PyTorch and pydensecrf"; fi

asan:
	@$(MAKE) --no-print-directory SANITIZE=address test
ubsan:
	@$(MAKE) --no-print-directory SANITIZE=undefined test
# GCC's OpenMP runtime is opaque to this sanitizer: it watches the threads that we start ourselves.
tsan:
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(MAKE) --no-print-directory SANITIZE=thread test

golden:
	@echo "oracles: numpy, Pillow, torch, torchvision (Debian: python3-torchvision), pycocotools, pydensecrf (pip);"
	@echo "where $(PYTHON) lacks one, its scripts fail and their files stay as they are"
	@status=0; for script in tests/golden/make_*.py; do $(PYTHON) $$script || status=1; done; exit $$status

deps:
	@scripts/deps.sh
deps-dev:
	@scripts/deps.sh dev

$(BUILD)/$(VARIANT)/bbam: $(call host_objects,cli/main.cpp) $(LIB_OBJECTS)
	@echo "  link    $@"
	@$(CXX) -o $@ $^ $(LDLIBS)
$(BUILD)/$(VARIANT)/tests: $(call host_objects,$(TEST_CPP)) $(call kernel_objects,$(TEST_CU)) $(LIB_OBJECTS)
	@echo "  link    $@"
	@$(CXX) -o $@ $^ $(LDLIBS)
$(BUILD)/$(VARIANT)/bench: $(call host_objects,$(BENCH_CPP)) $(LIB_OBJECTS)
	@echo "  link    $@"
	@$(CXX) -o $@ $^ $(LDLIBS)

$(BUILD)/host/%.o: %.cpp $(BUILD)/host/command
	@mkdir -p $(@D)
	@echo "  c++     $<"
	@$(HOST_COMMAND) $(FILE_FLAGS) -c $< -o $@
$(BUILD)/$(VARIANT)/%.cu.o: %.cu $(BUILD)/$(VARIANT)/command
	@mkdir -p $(@D)
	@echo "  $(if $(CUDA),nvcc,c++ )    $<"
	@$(KERNEL_COMMAND) $(FILE_FLAGS) -c $< -o $@
# Objects depend on the command that makes them, so that another ARCH or WERROR needs no clean.
$(BUILD)/host/command: export TEXT := $(HOST_COMMAND)
$(BUILD)/$(VARIANT)/command: export TEXT := $(KERNEL_COMMAND)
$(BUILD)/%/command: FORCE
	@mkdir -p $(@D)
	@echo "$$TEXT" | cmp -s - $@ || echo "$$TEXT" > $@

$(BUILD)/host/%_cuda.o: FILE_FLAGS := $(addprefix -isystem ,$(CUDA_INCLUDES))
# The evaluators round as the reference tools do: a product and a sum are not fused into one step.
$(BUILD)/host/datasets/%.o: FILE_FLAGS := -ffp-contract=off
# So do the CRF's lattice, where the side of a face on which a point falls changes what it is blurred
# with, and NMS, whose boxes must not hang on the device.
$(BUILD)/cpu/segmenters/lattice_build.cu.o $(BUILD)/cpu/layers/nms.cu.o: FILE_FLAGS := -ffp-contract=off
$(BUILD)/cuda/segmenters/lattice_build.cu.o $(BUILD)/cuda/layers/nms.cu.o: FILE_FLAGS := -fmad=false -Xcompiler -ffp-contract=off

SOURCES = $(wildcard $(foreach room,$(ROOMS) tests bench,$(room)/*.h $(room)/*.cpp $(room)/*.cu $(room)/*/*.h $(room)/*/*.cpp $(room)/*/*.cu))
format:
	@clang-format -i $(SOURCES)
check-format:
	@clang-format --dry-run -Werror $(SOURCES)
layering:
	@scripts/layering.sh
check-docs:
	@scripts/check-docs.sh
# Each header must compile alone, and twice in one file.
ifdef PARALLEL
headers: $(patsubst %.h,build/headers/%.ok,$(HEADERS))
else
headers: deps
	@$(parallel_make) headers
endif
build/headers/%.ok: %.h
	@mkdir -p $(@D)
	@printf '#include "%s"\n#include "%s"\n' $< $< | $(CXX) -x c++ -std=c++20 -fopenmp -fsyntax-only -MMD -MP -MF $(@:.ok=.d) -MT $@ $(WARN) $(CPPFLAGS) -
	@touch $@
clean:
	rm -rf build

-include $(shell find build -name '*.d' 2>/dev/null)
