-- CreateTable
CREATE TABLE "queues" (
    "code" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "priority" INTEGER NOT NULL,
    CONSTRAINT "queues_pkey" PRIMARY KEY ("code")
);

-- CreateTable
CREATE TABLE "loans" (
    "id" SERIAL NOT NULL,
    "borrower" TEXT NOT NULL,
    "amount" INTEGER NOT NULL,
    "queue_code" TEXT NOT NULL,
    "created_at" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "loans_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "core_entities" (
    "code" TEXT NOT NULL,
    "label" TEXT NOT NULL,
    CONSTRAINT "core_entities_pkey" PRIMARY KEY ("code")
);

INSERT INTO "core_entities" ("code", "label") VALUES ('applicant', 'Applicant'), ('loan', 'Loan'), ('property', 'Property');
