// SPDX-License-Identifier: MIT
// lstm.h by TensorFlow Lite Micro, for other models and other operators than lstm.c knows. It is chosen by LSTM_TFLM in
// config.h, and needs an Arduino library of TFLM of 2023 or later. Explained in notebooks/08_deploy_to_pico.ipynb.
#include "lstm.h"

#if LSTM_TFLM
#include <TensorFlowLite.h>  // some libraries have another name for it, as Chirale_TensorFlowLite.h
#include <string.h>
#include <tensorflow/lite/micro/micro_interpreter.h>
#include <tensorflow/lite/micro/micro_mutable_op_resolver.h>
#include <tensorflow/lite/schema/schema_generated.h>

#include "generated/model_tflite.h"

constexpr size_t ARENA_BYTES = 16 * 1024;
alignas(16) static uint8_t arena[ARENA_BYTES];

static tflite::MicroInterpreter *newInterpreter()
{
    static tflite::MicroMutableOpResolver<5> operators;
    operators.AddUnidirectionalSequenceLSTM();
    operators.AddMean();          // of all steps, or
    operators.AddStridedSlice();  // the last step
    operators.AddFullyConnected();
    operators.AddSoftmax();
    static tflite::MicroInterpreter interpreter(tflite::GetModel(g_model), operators, arena, sizeof arena);
    return interpreter.AllocateTensors() == kTfLiteOk ? &interpreter : nullptr;
}

void lstm_reset(lstm_t *lstm) { lstm->n_steps = 0; }

void lstm_step(lstm_t *lstm, const int8_t features[N_MFCC])
{
    memcpy(lstm->features[lstm->n_steps++ % N_FRAMES], features, N_MFCC);
}

// TFLM keeps the state of an LSTM from one Invoke() to the next, so it is reset before each window. When TFLM refuses the
// model or the arena is too small, all scores are 0, and the self-test fails; TFLM tells why.
void lstm_scores(const lstm_t *lstm, int8_t scores[N_CLASSES])
{
    static tflite::MicroInterpreter *const interpreter = newInterpreter();
    memset(scores, 0, N_CLASSES);
    if (interpreter && interpreter->Reset() == kTfLiteOk) {
        memcpy(interpreter->input(0)->data.int8, lstm->features, sizeof lstm->features);
        if (interpreter->Invoke() == kTfLiteOk) {
            memcpy(scores, interpreter->output(0)->data.int8, N_CLASSES);
        }
    }
}
#endif
