# bbam: two commands, each doing its own set-up:
#   make demo     the whole method on generated pictures; opens nothing, writes out/demo/report.html
#   make test     builds and runs every test
# Others: all bbam tests deps gradcheck bench format check-format layering headers clean
#   CUDA=1        the same program for CUDA as well (toolkit and cuDNN under CUDA_HOME)

CXX       ?= g++
JOBS      ?= $(shell nproc)
ARCH      ?= native
CUDA_HOME ?= /usr/local/cuda
CUDA_ARCH ?= 90
NVCC      ?= $(CUDA_HOME)/bin/nvcc

ROOMS := tensor autograd layers detectors segmenters attribution datasets cli
WARN  := -Wall -Wextra
ifdef WERROR
WARN  += -Werror
endif
CPPFLAGS := -I.
CXXFLAGS := -std=c++20 -O2 -g1 -march=$(ARCH) -fopenmp -MMD -MP $(WARN)
# Kernels: no fast-math; -O3 for the vectoriser. Without nvcc Thrust's device is OpenMP.
CUFLAGS  := -O3 -DTHRUST_HOST_SYSTEM=THRUST_HOST_SYSTEM_CPP -DTHRUST_DEVICE_SYSTEM=THRUST_DEVICE_SYSTEM_OMP
LDLIBS   := -fopenmp -ldnnl -lopenblas -lfmt -lpugixml -lzip -ljpeg -lpng -lz

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
CUDNN_H := $(firstword $(wildcard $(CUDA_HOME)/include/cudnn.h $(CUDNN_HOME)/include/cudnn.h /usr/include/cudnn.h))
ifeq ($(CUDNN_H),)
$(error CUDA=1: no cudnn.h under $(CUDA_HOME)/include; install cuDNN 9 there or set CUDNN_HOME)
endif
VARIANT := cuda
CPP := $(filter-out %_nocuda.cpp,$(ALL_CPP))
LDLIBS += -L$(CUDA_HOME)/lib64 -L$(CUDA_HOME)/lib $(if $(CUDNN_HOME),-L$(CUDNN_HOME)/lib) -lcudnn -lcublasLt -lcublas -lcudart
else
VARIANT := cpu
CPP := $(filter-out %_cuda.cpp,$(ALL_CPP))
endif

# Host objects do not depend on the variant and are shared by both builds.
host_objects   = $(patsubst %.cpp,build/host/%.o,$(1))
kernel_objects = $(patsubst %.cu,build/$(VARIANT)/%.cu.o,$(1))
LIB_OBJECTS := $(call host_objects,$(filter-out cli/main.cpp,$(CPP))) $(call kernel_objects,$(KERNELS))

.PHONY: all bbam tests test demo deps deps-dev gradcheck bench format check-format layering headers papers clean golden
all: bbam

bbam: deps
	@$(MAKE) --no-print-directory -j$(JOBS) build/$(VARIANT)/bbam
	@ln -sf $(VARIANT)/bbam build/bbam
tests: deps
	@$(MAKE) --no-print-directory -j$(JOBS) build/$(VARIANT)/tests

build/$(VARIANT)/bbam: $(call host_objects,cli/main.cpp) $(LIB_OBJECTS)
	@echo "  link    $@"
	@$(CXX) -o $@ $^ $(LDLIBS)
build/$(VARIANT)/tests: $(call host_objects,$(TEST_CPP)) $(call kernel_objects,$(TEST_CU)) $(LIB_OBJECTS)
	@echo "  link    $@"
	@$(CXX) -o $@ $^ $(LDLIBS)
build/$(VARIANT)/bench: $(call host_objects,$(BENCH_CPP)) $(LIB_OBJECTS)
	@echo "  link    $@"
	@$(CXX) -o $@ $^ $(LDLIBS) -lbenchmark

build/host/%.o: %.cpp
	@mkdir -p $(@D)
	@echo "  c++     $<"
	@$(CXX) $(CPPFLAGS) $(if $(filter %_cuda.cpp,$<),-isystem $(CUDA_HOME)/include $(if $(CUDNN_HOME),-isystem $(CUDNN_HOME)/include)) $(CXXFLAGS) -c $< -o $@
build/cpu/%.cu.o: %.cu
	@mkdir -p $(@D)
	@echo "  c++     $<"
	@$(CXX) -x c++ $(CPPFLAGS) $(CXXFLAGS) $(CUFLAGS) -c $< -o $@
build/cuda/%.cu.o: %.cu
	@mkdir -p $(@D)
	@echo "  nvcc    $<"
	@$(NVCC) -std=c++20 -O3 -arch=sm_$(CUDA_ARCH) $(CPPFLAGS) $(NVCCFLAGS) -MD -MP -MF $(@:.o=.d) \
	  -Werror cross-execution-space-call,all-warnings \
	  -Xcompiler "-O3,-march=$(ARCH),-fopenmp,-Wall,-Wno-unknown-pragmas" -c $< -o $@
# The evaluators round as the reference tools do: a product and a sum are not fused into one step.
build/host/datasets/%.o: CXXFLAGS += -ffp-contract=off
# So does the CRF's lattice: on which side of a face a point falls changes what it is blurred with.
build/cpu/segmenters/lattice_build.cu.o: CXXFLAGS += -ffp-contract=off
build/cuda/segmenters/lattice_build.cu.o: NVCCFLAGS += -fmad=false -Xcompiler -ffp-contract=off

demo: bbam
	build/bbam demo --out out/demo
test: tests
	@build/$(VARIANT)/tests $(TEST_ARGS)

gradcheck: tests
	@build/$(VARIANT)/tests --gradcheck

deps:
	@scripts/deps.sh
deps-dev:
	@scripts/deps.sh dev

SOURCES = $(wildcard $(foreach room,$(ROOMS) tests bench,$(room)/*.h $(room)/*.cpp $(room)/*.cu $(room)/*/*.h $(room)/*/*.cpp $(room)/*/*.cu))
format:
	@clang-format -i $(SOURCES)
check-format:
	@clang-format --dry-run -Werror $(SOURCES)
layering:
	@scripts/layering.sh
# Each header must compile alone, and twice in one file.
headers: $(patsubst %.h,build/headers/%.ok,$(HEADERS))
build/headers/%.ok: %.h
	@mkdir -p $(@D)
	@printf '#include "%s"\n#include "%s"\n' $< $< | $(CXX) -x c++ -std=c++20 -fopenmp -fsyntax-only -MMD -MP -MF $(@:.ok=.d) -MT $@ $(WARN) $(CPPFLAGS) -
	@touch $@
clean:
	rm -rf build

-include $(shell find build -name '*.d' 2>/dev/null)
